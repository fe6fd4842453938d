/* sync.c - from the claimed row to memory, and out of it again. */
#include "runner/sync.h"
#include "runner/source.h"
#include "shared/db.h"
#include "shared/json.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 64

/* A column as JSON; *ret stays NULL where the column is. */
static enum err
read_json(const PGresult *res, int row, const char *col, json_object **ret)
{
	const char *text = result_text(res, row, col);

	*ret = NULL;
	if (!text)
		return ERR_OK;
	return json_read(text, strlen(text), JSON_DEPTH, ret, NULL);
}

static enum err
read_text(const PGresult *res, int row, const char *col, char **ret)
{
	const char *text = result_text(res, row, col);

	if (!text)
		return ERR_OK;
	*ret = strdup(text);
	return *ret ? ERR_OK : ERR_NOMEM;
}

static enum err
read_texts(struct sync *s, const PGresult *res, int row)
{
	const struct {
		const char *col;
		char **to;
	} texts[] = {
		{ "sync_id", &s->sync_id },
		{ "user_id", &s->user_id },
		{ "connection_id", &s->connection_id },
		{ "provider", &s->provider },
		{ "request_id", &s->request_id },
	};

	for (unsigned i = 0; i < COUNT_OF(texts); i++) {
		enum err err = read_text(res, row, texts[i].col, texts[i].to);

		if (err)
			return err;
	}
	return ERR_OK;
}

enum err
sync_reread(struct sync *s, const PGresult *res, int row)
{
	json_object *checkpoint;
	enum err err = read_json(res, row, "checkpoint", &checkpoint);

	if (err)
		return err;
	json_object_put(s->checkpoint);
	s->checkpoint = checkpoint;
	s->attempt = (int)result_i64(res, row, "attempt");
	s->crash_count = (int)result_i64(res, row, "crash_count");
	return ERR_OK;
}

enum err
sync_from_row(
    struct sync **ret, const PGresult *res, int row, const struct term *term)
{
	struct sync *s = calloc(1, sizeof *s);
	enum err err;

	if (!s)
		return ERR_NOMEM;
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	s->term = term;
	err = read_texts(s, res, row);
	if (!err)
		err = sync_reread(s, res, row);
	if (!err)
		err = read_json(res, row, "wanted_json", &s->wanted);
	if (err) {
		sync_unref(s);
		return err;
	}
	s->epoch = result_i64(res, row, "lease_epoch");
	s->full = strcmp(result_text(res, row, "mode"), "full") == 0;
	s->started_at_ms = result_i64(res, row, "started_ms");
	s->max_attempts = (int)result_i64(res, row, "max_attempts");
	s->item.priority = (int)result_i64(res, row, "priority");
	if (s->item.priority < 0 || s->item.priority >= DISPATCHER_PRIORITIES)
		s->item.priority = 0;
	s->item.lane = s->crash_count > 0 ? LANE_ALONE : LANE_SHORT;
	*ret = s;
	return ERR_OK;
}

struct sync *
sync_ref(struct sync *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
sync_close_source(struct sync *s)
{
	if (s->source)
		s->ops->close(s->source);
	s->source = NULL;
	json_object_put(s->opened_from);
	s->opened_from = NULL;
}

void
sync_unref(struct sync *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	sync_close_source(s);
	json_object_put(s->checkpoint);
	json_object_put(s->wanted);
	pthread_mutex_destroy(&s->lock);
	free(s->sync_id);
	free(s->user_id);
	free(s->connection_id);
	free(s->provider);
	free(s->request_id);
	free(s);
}

bool
sync_stop_for(struct sync *s, enum sync_stop why)
{
	bool first;

	pthread_mutex_lock(&s->lock);
	first = s->stop == SYNC_GOES_ON;
	if (first) {
		s->stop = why;
		if (s->interrupt)
			s->interrupt(s->interrupt_arg);
	}
	pthread_mutex_unlock(&s->lock);
	return first;
}

enum sync_stop
sync_stopped(struct sync *s)
{
	enum sync_stop stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

enum sync_stop
sync_step_begin(struct sync *s, void (*interrupt)(void *arg), void *arg)
{
	enum sync_stop stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	if (stop == SYNC_GOES_ON) {
		s->interrupt = interrupt;
		s->interrupt_arg = arg;
	}
	pthread_mutex_unlock(&s->lock);
	return stop;
}

void
sync_step_end(struct sync *s)
{
	pthread_mutex_lock(&s->lock);
	s->interrupt = NULL;
	pthread_mutex_unlock(&s->lock);
}

struct sync *
sync_of(struct dispatcher_item *it)
{
	return (
	    struct sync *)(void *)((char *)it - offsetof(struct sync, item));
}
