/*
 * registry.h - the syncs a runner holds, by id and by user.
 *
 * One lock, held for look-ups only: no I/O, no other lock under it.  The
 * registry owns one reference of each sync in it.  Any thread.
 */
#ifndef SYNCLINE_RUNNER_REGISTRY_H
#define SYNCLINE_RUNNER_REGISTRY_H

#include "runner/sync.h"
#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>

struct registry; /* opaque */

enum err registry_open(struct registry **ret) MUST_CHECK;
void registry_close(struct registry *r); /* lets all of them go */

/*
 * registry_add takes a reference of its own.  ERR_CONFLICT: one of that id
 * is there.
 */
enum err registry_add(struct registry *r, struct sync *s) MUST_CHECK;

/* registry_remove is harmless when the sync is not there (any more). */
void registry_remove(struct registry *r, struct sync *s);

/* registry_find returns a reference of the caller's, or NULL. */
struct sync *registry_find(struct registry *r, const char *sync_id);
bool registry_has(struct registry *r, const char *sync_id);

/*
 * registry_of_user puts up to max of the user's syncs into ret, references
 * of the caller's, newest last, and returns how many it has in all.
 */
size_t registry_of_user(
    struct registry *r, const char *user_id, struct sync **ret, size_t max);

/*
 * registry_all makes an array of all syncs, references of the caller's, who
 * also frees the array.
 */
enum err
registry_all(struct registry *r, struct sync ***ret, size_t *ret_n) MUST_CHECK;

size_t registry_count(struct registry *r);

#endif
