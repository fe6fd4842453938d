/*
 * openapi.h - the contract as text, embedded by fcgi/embed_text.sh.
 *
 * Whoever adds a route or a member adds it to fcgi/openapi.json in the same
 * commit; tests hold the text against the route table and real answers.
 */
#ifndef SYNCLINE_OPENAPI_H
#define SYNCLINE_OPENAPI_H

extern const char openapi_text[];

#endif
