/* sources.h - the sources there are; source_find is in runner/source.h. */
#ifndef SYNCLINE_SOURCES_H
#define SYNCLINE_SOURCES_H

#include "runner/source.h"

extern const struct source_ops spapi_source;

#endif
