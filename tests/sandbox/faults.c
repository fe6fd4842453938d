/* faults.c - the list of faults asked for, and whose turn it is. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>

#include "draw.h"
#include "room.h"

enum fits {
	FITS_TOKEN = 1, /* the token exchange */
	FITS_API = 2,   /* every seller call */
	FITS_PAGED = 4, /* seller calls with pages */
};

static const struct {
	const char *name;
	int fits;
	bool on_answer;
} kinds[FAULT__MAX] = {
	[FAULT_NONE] = { "none", 0, false },
	[FAULT_429] = { "429", FITS_TOKEN | FITS_API, false },
	[FAULT_500] = { "500", FITS_TOKEN | FITS_API, false },
	[FAULT_503] = { "503", FITS_TOKEN | FITS_API, false },
	[FAULT_HTML] = { "html", FITS_TOKEN | FITS_API, false },
	[FAULT_403_EXPIRED] = { "403_expired", FITS_API, false },
	[FAULT_403_UNAUTHORIZED] = { "403_unauthorized", FITS_API, false },
	[FAULT_INVALID_GRANT] = { "invalid_grant", FITS_TOKEN, false },
	[FAULT_INVALID_CLIENT] = { "invalid_client", FITS_TOKEN, false },
	[FAULT_HUGE] = { "huge", FITS_TOKEN | FITS_API, false },
	[FAULT_HANG] = { "hang", FITS_TOKEN | FITS_API, false },
	[FAULT_CUT] = { "cut", FITS_TOKEN | FITS_API, true },
	[FAULT_TRUNCATED] = { "truncated", FITS_TOKEN | FITS_API, true },
	[FAULT_INVALID_JSON] = { "invalid_json", FITS_TOKEN | FITS_API, true },
	[FAULT_SLOW] = { "slow", FITS_TOKEN | FITS_API, true },
	[FAULT_GZIP] = { "gzip", FITS_TOKEN | FITS_API, true },
	[FAULT_REPEAT_TOKEN] = { "repeat_token", FITS_PAGED, true },
	[FAULT_EMPTY_PAGES] = { "empty_pages", FITS_PAGED, true },
	[FAULT_BAD_RECORD] = { "bad_record", FITS_PAGED, true },
};

void
faults_init(struct faults *fs)
{
	*fs = (struct faults){ 0 };
	pthread_mutex_init(&fs->lock, NULL);
}

void
faults_fini(struct faults *fs)
{
	free(fs->list);
	pthread_mutex_destroy(&fs->lock);
}

const char *
fault_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

enum fault_kind
fault_find(const char *name)
{
	for (int k = FAULT_NONE + 1; k < FAULT__MAX; k++)
		if (strcmp(kinds[k].name, name) == 0)
			return (enum fault_kind)k;
	return FAULT_NONE;
}

static int
op_fits(enum op op)
{
	switch (op) {
	case OP_TOKEN:
		return FITS_TOKEN;
	case OP_SEARCH_ORDERS:
	case OP_INVENTORY:
	case OP_TRANSACTIONS:
		return FITS_API | FITS_PAGED;
	case OP_GET_ORDER:
	case OP_PARTICIPATIONS:
		return FITS_API;
	case OP_NONE:
	case OP__MAX:
		break;
	}
	return 0;
}

bool
fault_fits(enum fault_kind kind, enum op op)
{
	return (kinds[kind].fits & op_fits(op)) != 0;
}

bool
fault_on_answer(enum fault_kind kind)
{
	return kinds[kind].on_answer;
}

int
faults_add(struct faults *fs, const struct fault *f)
{
	struct fault *list;
	int id;

	pthread_mutex_lock(&fs->lock);
	list = realloc(fs->list, (fs->count + 1) * sizeof(*list));
	if (list == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
	fs->list = list;
	list[fs->count] = *f;
	id = list[fs->count++].id = ++fs->last_id;
	pthread_mutex_unlock(&fs->lock);
	return id;
}

bool
faults_remove(struct faults *fs, int id)
{
	size_t kept = 0;
	bool found;

	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->count; i++)
		if (id != 0 && fs->list[i].id != id)
			fs->list[kept++] = fs->list[i];
	found = kept < fs->count;
	fs->count = kept;
	pthread_mutex_unlock(&fs->lock);
	return found;
}

static bool
wants(struct fault *f)
{
	uint64_t n = (uint64_t)f->seen++;

	if (f->seen <= f->after || (f->count >= 0 && f->fired >= f->count))
		return false;
	return f->probability >= 1 ||
	    (double)(draw_hash(f->seed, ROOM_FAULT, n, 0) >> 11) <
	    f->probability * 9007199254740992.0;
}

struct fault
faults_pick(struct faults *fs, enum op op, const char *seller)
{
	struct fault picked = { .kind = FAULT_NONE };

	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->count; i++) {
		struct fault *f = &fs->list[i];

		if ((f->op != OP_NONE && f->op != op) ||
		    !fault_fits(f->kind, op) ||
		    (f->seller[0] != '\0' && strcmp(f->seller, seller) != 0))
			continue;
		if (wants(f) && picked.kind == FAULT_NONE) {
			f->fired++;
			picked = *f;
		}
	}
	pthread_mutex_unlock(&fs->lock);
	return picked;
}

void
faults_return(struct faults *fs, int id)
{
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->count; i++)
		if (fs->list[i].id == id)
			fs->list[i].fired--;
	pthread_mutex_unlock(&fs->lock);
}

void
faults_json(struct faults *fs, struct buf *b)
{
	buf_ch(b, '[');
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->count; i++) {
		const struct fault *f = &fs->list[i];

		buf_fmt(b, "%s{\"id\":%d,\"kind\":\"%s\",\"operation\":\"%s\"",
		    i > 0 ? "," : "", f->id, fault_name(f->kind),
		    f->op == OP_NONE ? "*" : op_name(f->op));
		if (f->seller[0] != '\0') {
			buf_lit(b, ",\"seller\":");
			buf_json_str(b, f->seller);
		}
		buf_fmt(b,
		    ",\"after\":%lld,\"count\":%lld,\"seen\":%lld,"
		    "\"fired\":%lld}",
		    (long long)f->after, (long long)f->count,
		    (long long)f->seen, (long long)f->fired);
	}
	pthread_mutex_unlock(&fs->lock);
	buf_ch(b, ']');
}
