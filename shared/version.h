/* version.h - what we call ourselves. */
#ifndef SYNCLINE_VERSION_H
#define SYNCLINE_VERSION_H

#define SYNCLINE_VERSION "0.1.0"

#endif
