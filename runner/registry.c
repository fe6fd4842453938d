/* registry.c - two hash tables under one lock. */
#include "runner/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

struct registry_user {
	UT_hash_handle hh;
	struct sync *syncs;
	size_t count;
	char id[]; /* NUL-terminated */
};

struct registry {
	pthread_mutex_t lock;
	struct sync *by_id;
	struct registry_user *users;
};

enum err
registry_open(struct registry **ret)
{
	struct registry *r = calloc(1, sizeof *r);

	if (!r)
		return ERR_NOMEM;
	pthread_mutex_init(&r->lock, NULL);
	*ret = r;
	return ERR_OK;
}

static struct registry_user *
user_find(struct registry *r, const char *id)
{
	struct registry_user *u;

	HASH_FIND_STR(r->users, id, u);
	return u;
}

static struct registry_user *
user_get(struct registry *r, const char *id)
{
	struct registry_user *u = user_find(r, id);
	size_t len = strlen(id);

	if (u)
		return u;
	u = calloc(1, sizeof *u + len + 1);
	if (!u)
		return NULL;
	memcpy(u->id, id, len);
	HASH_ADD_KEYPTR(hh, r->users, u->id, len, u);
	if (!u->hh.tbl) {
		free(u);
		return NULL;
	}
	return u;
}

static void
user_drop_if_empty(struct registry *r, struct registry_user *u)
{
	if (u->count > 0)
		return;
	HASH_DEL(r->users, u);
	free(u);
}

static enum err
add_locked(struct registry *r, struct sync *s)
{
	struct sync *there;
	struct registry_user *u;

	HASH_FIND(by_id, r->by_id, s->sync_id, strlen(s->sync_id), there);
	if (there)
		return ERR_CONFLICT;
	u = user_get(r, s->user_id);
	if (!u)
		return ERR_NOMEM;
	HASH_ADD_KEYPTR(by_id, r->by_id, s->sync_id, strlen(s->sync_id), s);
	if (!s->by_id.tbl) {
		user_drop_if_empty(r, u);
		return ERR_NOMEM;
	}
	DL_APPEND2(u->syncs, s, user_prev, user_next);
	u->count++;
	s->registered = true;
	sync_ref(s);
	return ERR_OK;
}

static void
remove_locked(struct registry *r, struct sync *s)
{
	struct registry_user *u = user_find(r, s->user_id);

	HASH_DELETE(by_id, r->by_id, s);
	DL_DELETE2(u->syncs, s, user_prev, user_next);
	u->count--;
	user_drop_if_empty(r, u);
	s->registered = false;
}

enum err
registry_add(struct registry *r, struct sync *s)
{
	enum err err;

	pthread_mutex_lock(&r->lock);
	err = add_locked(r, s);
	pthread_mutex_unlock(&r->lock);
	return err;
}

void
registry_remove(struct registry *r, struct sync *s)
{
	bool was;

	pthread_mutex_lock(&r->lock);
	was = s->registered;
	if (was)
		remove_locked(r, s);
	pthread_mutex_unlock(&r->lock);
	if (was)
		sync_unref(s); /* may close a source: not under the lock */
}

struct sync *
registry_find(struct registry *r, const char *sync_id)
{
	struct sync *s;

	pthread_mutex_lock(&r->lock);
	HASH_FIND(by_id, r->by_id, sync_id, strlen(sync_id), s);
	if (s)
		sync_ref(s);
	pthread_mutex_unlock(&r->lock);
	return s;
}

bool
registry_has(struct registry *r, const char *sync_id)
{
	struct sync *s;

	pthread_mutex_lock(&r->lock);
	HASH_FIND(by_id, r->by_id, sync_id, strlen(sync_id), s);
	pthread_mutex_unlock(&r->lock);
	return s != NULL;
}

size_t
registry_of_user(
    struct registry *r, const char *user_id, struct sync **ret, size_t max)
{
	struct registry_user *u;
	struct sync *s;
	size_t n = 0, count;

	pthread_mutex_lock(&r->lock);
	u = user_find(r, user_id);
	count = u ? u->count : 0;
	for (s = u ? u->syncs : NULL; s && n < max; s = s->user_next)
		ret[n++] = sync_ref(s);
	pthread_mutex_unlock(&r->lock);
	return count;
}

enum err
registry_all(struct registry *r, struct sync ***ret, size_t *ret_n)
{
	struct sync **all;
	size_t n = 0;

	pthread_mutex_lock(&r->lock);
	all = calloc(HASH_CNT(by_id, r->by_id) + 1, sizeof *all);
	for (struct sync *s = r->by_id; all && s; s = s->by_id.next)
		all[n++] = sync_ref(s);
	pthread_mutex_unlock(&r->lock);
	if (!all)
		return ERR_NOMEM;
	*ret = all;
	*ret_n = n;
	return ERR_OK;
}

size_t
registry_count(struct registry *r)
{
	size_t n;

	pthread_mutex_lock(&r->lock);
	n = HASH_CNT(by_id, r->by_id);
	pthread_mutex_unlock(&r->lock);
	return n;
}

void
registry_close(struct registry *r)
{
	if (!r)
		return;
	while (r->by_id)
		registry_remove(r, r->by_id);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
