/* seller.c - keeps the accounts and gives out their tokens. */
#include "seller.h"

#include <stdio.h>
#include <stdlib.h>

#include "draw.h"
#include "room.h"

enum {
	ROTATE_GRACE_MS = 300 * 1000,
	ACCESS_BYTES = 240, /* mostly padding: real ones are long as well */
};

static const char refresh_prefix[] = "Atzr|sandbox-";
static const char access_prefix[] = "Atza|";

void
sellers_init(struct sellers *ss)
{
	*ss = (struct sellers){ 0 };
	pthread_rwlock_init(&ss->lock, NULL);
	pthread_mutex_init(&ss->serial_lock, NULL);
}

static void
seller_free(struct seller *s)
{
	index_fini(&s->index);
	pthread_rwlock_destroy(&s->index_lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
sellers_fini(struct sellers *ss)
{
	for (size_t i = 0; i < ss->count; i++)
		seller_free(ss->list[i]);
	free(ss->list);
	pthread_rwlock_destroy(&ss->lock);
	pthread_mutex_destroy(&ss->serial_lock);
}

static struct seller *
find_locked(struct sellers *ss, const char *id, size_t len)
{
	for (size_t i = 0; i < ss->count; i++)
		if (strlen(ss->list[i]->id) == len &&
		    memcmp(ss->list[i]->id, id, len) == 0)
			return ss->list[i];
	return NULL;
}

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
	return p;
}

struct seller *
sellers_add(struct sellers *ss, const struct seller_spec *spec)
{
	struct seller *s = NULL;

	pthread_rwlock_wrlock(&ss->lock);
	if (find_locked(ss, spec->id, strlen(spec->id)) == NULL) {
		s = must(calloc(1, sizeof(*s)));
		snprintf(s->id, sizeof(s->id), "%s", spec->id);
		model_init(&s->model, spec->seed, spec->base, spec->days,
		    spec->orders, spec->skus, spec->markets,
		    spec->market_count);
		index_init(&s->index, &s->model);
		s->rotates = spec->rotates;
		pthread_rwlock_init(&s->index_lock, NULL);
		pthread_mutex_init(&s->lock, NULL);
		ss->list = must(realloc(
		    ss->list, (ss->count + 1) * sizeof(struct seller *)));
		ss->list[ss->count++] = s;
	}
	pthread_rwlock_unlock(&ss->lock);
	return s;
}

static struct seller *
find_span(struct sellers *ss, const char *id, size_t len)
{
	struct seller *s;

	pthread_rwlock_rdlock(&ss->lock);
	s = find_locked(ss, id, len);
	pthread_rwlock_unlock(&ss->lock);
	return s;
}

struct seller *
sellers_find(struct sellers *ss, const char *id)
{
	return find_span(ss, id, strlen(id));
}

struct seller *
sellers_at(struct sellers *ss, size_t i)
{
	struct seller *s;

	pthread_rwlock_rdlock(&ss->lock);
	s = i < ss->count ? ss->list[i] : NULL;
	pthread_rwlock_unlock(&ss->lock);
	return s;
}

bool
seller_has_market(const struct seller *s, const struct market *m)
{
	for (int i = 0; i < s->model.market_count; i++)
		if (s->model.markets[i] == m)
			return true;
	return false;
}

const struct index *
seller_index_read(struct seller *s, int64_t now)
{
	for (;;) {
		pthread_rwlock_rdlock(&s->index_lock);
		if (index_reaches(&s->index, now))
			return &s->index;
		pthread_rwlock_unlock(&s->index_lock);
		pthread_rwlock_wrlock(&s->index_lock);
		index_reach(&s->index, now);
		pthread_rwlock_unlock(&s->index_lock);
	}
}

void
seller_index_done(struct seller *s)
{
	pthread_rwlock_unlock(&s->index_lock);
}

/* Refresh tokens read Atzr|sandbox-ID, and -rN behind it once rotated. */
static void
refresh_write(const struct seller *s, unsigned serial, char ret[REFRESH_MAX])
{
	if (serial == 0)
		snprintf(ret, REFRESH_MAX, "%s%s", refresh_prefix, s->id);
	else
		snprintf(ret, REFRESH_MAX, "%s%s-r%u", refresh_prefix, s->id,
		    serial);
}

void
seller_refresh_token(struct seller *s, char ret[REFRESH_MAX])
{
	pthread_mutex_lock(&s->lock);
	refresh_write(s, s->refresh_serial, ret);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Ids may hold "-r" themselves, so both readings of the text are tried: the
 * whole rest as an id, and the id before the last "-r".
 */
struct seller *
sellers_refresh_owner(struct sellers *ss, const char *token)
{
	const char *id = token + sizeof(refresh_prefix) - 1;
	struct seller *s;
	const char *r;

	if (strncmp(token, refresh_prefix, sizeof(refresh_prefix) - 1) != 0)
		return NULL;
	s = sellers_find(ss, id);
	if (s != NULL)
		return s;
	r = strrchr(id, '-');
	return r != NULL && r[1] == 'r' ? find_span(ss, id, (size_t)(r - id))
					: NULL;
}

enum refresh_result
sellers_refresh(
    struct sellers *ss, const char *token, int64_t now_ms, struct seller **ret)
{
	struct seller *s = sellers_refresh_owner(ss, token);
	enum refresh_result result = REFRESH_DEAD;
	char now_good[REFRESH_MAX], was_good[REFRESH_MAX] = "";

	if (s == NULL)
		return REFRESH_UNKNOWN;
	pthread_mutex_lock(&s->lock);
	refresh_write(s, s->refresh_serial, now_good);
	if (s->refresh_serial > 0 && now_ms < s->rotated_ms + ROTATE_GRACE_MS)
		refresh_write(s, s->refresh_serial - 1, was_good);
	if (!s->revoked && strcmp(token, now_good) == 0) {
		result = REFRESH_OK;
		if (s->rotates) {
			s->refresh_serial++;
			s->rotated_ms = now_ms;
		}
	} else if (!s->revoked && strcmp(token, was_good) == 0) {
		result = REFRESH_OK;
	}
	pthread_mutex_unlock(&s->lock);
	*ret = s;
	return result;
}

void
seller_reconnect(struct seller *s)
{
	pthread_mutex_lock(&s->lock);
	s->refresh_serial++;
	s->rotated_ms = INT64_MIN / 2; /* the old one has no grace */
	s->revoked = false;
	pthread_mutex_unlock(&s->lock);
}

/*
 * Access tokens carry what they stand for, scrambled and with a check, so
 * none has to be kept.
 */
struct access {
	uint64_t check;
	uint64_t serial;
	int64_t expires_ms;
	char id[SELLER_ID_MAX];
};

static uint64_t
access_sum(const struct access *a)
{
	uint64_t h =
	    draw_hash(ROOM_TOKEN, 1, a->serial, (uint64_t)a->expires_ms);

	for (int i = 0; i < SELLER_ID_MAX; i++)
		h = draw_mix(h + (unsigned char)a->id[i]);
	return h;
}

static void
access_scramble(unsigned char bytes[ACCESS_BYTES])
{
	struct draw d;

	/* The check sum, left as it is, keys the rest. */
	memcpy(&d.state, bytes, sizeof(d.state));
	for (int i = sizeof(d.state); i < ACCESS_BYTES; i++)
		bytes[i] ^= (unsigned char)draw_next(&d);
}

void
access_issue(struct sellers *ss, const struct seller *s, int64_t expires_ms,
    char ret[ACCESS_MAX])
{
	unsigned char bytes[ACCESS_BYTES] = { 0 };
	struct access a = { .expires_ms = expires_ms };
	struct buf b = { 0 };

	memcpy(a.id, s->id, sizeof(a.id));
	pthread_mutex_lock(&ss->serial_lock);
	a.serial = ++ss->serial;
	pthread_mutex_unlock(&ss->serial_lock);
	a.check = access_sum(&a);
	memcpy(bytes, &a, sizeof(a));
	access_scramble(bytes);
	buf_str(&b, access_prefix);
	buf_base64(&b, bytes, sizeof(bytes));
	buf_ch(&b, '\0');
	snprintf(ret, ACCESS_MAX, "%s", b.p);
	buf_fini(&b);
}

enum access_result
access_check(
    struct sellers *ss, const char *token, int64_t now_ms, struct seller **ret)
{
	unsigned char bytes[ACCESS_BYTES];
	enum access_result result;
	struct seller *s;
	struct access a;

	if (strncmp(token, access_prefix, sizeof(access_prefix) - 1) != 0 ||
	    base64_read(token + sizeof(access_prefix) - 1, bytes,
		sizeof(bytes)) != ACCESS_BYTES)
		return ACCESS_UNKNOWN;
	access_scramble(bytes);
	memcpy(&a, bytes, sizeof(a));
	if (a.check != access_sum(&a) || a.id[SELLER_ID_MAX - 1] != '\0')
		return ACCESS_UNKNOWN;
	s = sellers_find(ss, a.id);
	if (s == NULL)
		return ACCESS_UNKNOWN;
	pthread_mutex_lock(&s->lock);
	if (s->revoked)
		result = ACCESS_REVOKED;
	else if (a.serial <= s->dead_serial || now_ms >= a.expires_ms)
		result = ACCESS_EXPIRED;
	else
		result = ACCESS_OK;
	pthread_mutex_unlock(&s->lock);
	*ret = s;
	return result;
}

void
access_expire(struct sellers *ss, struct seller *s)
{
	uint64_t serial;

	pthread_mutex_lock(&ss->serial_lock);
	serial = ss->serial;
	pthread_mutex_unlock(&ss->serial_lock);
	pthread_mutex_lock(&s->lock);
	s->dead_serial = serial;
	pthread_mutex_unlock(&s->lock);
}
