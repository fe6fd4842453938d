/*
 * runner_client.c - one NNG REQ socket per address, a context per question.
 *
 * NNG dials in the background and tells us of connections, so a question to
 * nobody costs nothing.  After a silence one question in a second goes out to
 * find whether the runner is back; the others pass it by.
 */
#include "fcgi/runner_client.h"
#include "shared/log.h"
#include "shared/message.h"
#include "shared/clock.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 32
#define ADDRESS_MAX 256
#define SKIP_MS 1000  /* after a silence */
#define FRESH_MS 1000 /* how long a new dial may take to connect */
#define RECONNECT_MIN_MS 20
#define RECONNECT_MAX_MS 500

struct peer {
	char address[ADDRESS_MAX];
	nng_socket socket;
	bool listed;          /* from the settings: any runner will do */
	atomic_int connected; /* pipes; counted on nng's threads */
	atomic_llong skip_until_ms;
	int64_t dialed_ms;
};

struct runner_client {
	const struct settings *s;
	pthread_mutex_t lock; /* guards the list, not what is in a peer */
	struct peer *peers[PEERS_MAX]; /* only ever grows */
	int n_peers;
	atomic_uint turn; /* spreads hints over the runners */
};

/* --- peers ------------------------------------------------------------ */

/* On nng's threads: counts, nothing else. */
static void
on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
	struct peer *p = arg;

	(void)pipe;
	if (ev == NNG_PIPE_EV_ADD_POST)
		atomic_fetch_add(&p->connected, 1);
	else if (ev == NNG_PIPE_EV_REM_POST)
		atomic_fetch_sub(&p->connected, 1);
}

static enum err
peer_dial(struct peer *p)
{
	nng_dialer d;
	int rc = nng_req0_open(&p->socket);

	if (rc != 0)
		return rc == NNG_ENOMEM ? ERR_NOMEM : ERR_PEER;
	nng_socket_set_ms(p->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
	nng_socket_set_ms(p->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
	nng_socket_set_size(p->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);
	nng_pipe_notify(p->socket, NNG_PIPE_EV_ADD_POST, on_pipe, p);
	nng_pipe_notify(p->socket, NNG_PIPE_EV_REM_POST, on_pipe, p);
	rc = nng_dial(p->socket, p->address, &d, NNG_FLAG_NONBLOCK);
	if (rc != 0) {
		nng_close(p->socket);
		return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err
peer_open(const char *address, size_t len, bool listed, struct peer **ret)
{
	struct peer *p;
	enum err err;

	if (len == 0 || len >= sizeof p->address)
		return ERR_INVAL;
	p = calloc(1, sizeof *p);
	if (!p)
		return ERR_NOMEM;
	memcpy(p->address, address, len);
	p->listed = listed;
	p->dialed_ms = clock_ms();
	err = peer_dial(p);
	if (err) {
		free(p);
		return err;
	}
	*ret = p;
	return ERR_OK;
}

/* NNG's last word on each pipe is on_pipe's: p is needed until then. */
static void
peer_close(struct peer *p)
{
	nng_close(p->socket);
	while (atomic_load(&p->connected) > 0)
		nng_msleep(1);
	free(p);
}

/* The peer of an address, dialed when it is new.  NULL: not to be had. */
static struct peer *
peer_of(struct runner_client *c, const char *address)
{
	struct peer *p = NULL;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < c->n_peers && !p; i++) {
		if (strcmp(c->peers[i]->address, address) == 0)
			p = c->peers[i];
	}
	/* dialing does not block, so it may be done under the lock */
	if (!p && c->n_peers < PEERS_MAX &&
	    peer_open(address, strlen(address), false, &p) == ERR_OK)
		c->peers[c->n_peers++] = p;
	pthread_mutex_unlock(&c->lock);
	return p;
}

/* A listed peer that is connected and answers; NULL: none. */
static struct peer *
any_peer(struct runner_client *c)
{
	unsigned first = atomic_fetch_add(&c->turn, 1);
	struct peer *found = NULL;
	int64_t now = clock_ms();

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < c->n_peers && !found; i++) {
		struct peer *p =
		    c->peers[(first + (unsigned)i) % (unsigned)c->n_peers];

		if (p->listed && atomic_load(&p->connected) > 0 &&
		    now >= atomic_load(&p->skip_until_ms))
			found = p;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

/* --- one question ----------------------------------------------------- */

struct question {
	nng_ctx ctx;
	nng_aio *aio;
	bool has_ctx;
};

static void
question_fini(struct question *q)
{
	nng_aio_free(q->aio);
	if (q->has_ctx)
		nng_ctx_close(q->ctx);
}

static enum err
err_of_nng(int rc)
{
	if (rc == NNG_ETIMEDOUT)
		return ERR_TIMEOUT;
	return rc == NNG_ENOMEM ? ERR_NOMEM : ERR_PEER;
}

static enum err
wait_for(struct question *q)
{
	int rc;

	nng_aio_wait(q->aio);
	rc = nng_aio_result(q->aio);
	return rc == 0 ? ERR_OK : err_of_nng(rc);
}

/* Sends text and receives the answer, both within the bound. */
static enum err
exchange(struct peer *p, const char *text, size_t len, int64_t bound_ms,
    nng_msg **ret)
{
	CLEANUP(question_fini) struct question q = { .aio = NULL };
	int64_t end = clock_ms() + bound_ms, left;
	nng_msg *msg;
	enum err err;

	if (nng_aio_alloc(&q.aio, NULL, NULL) != 0 ||
	    nng_ctx_open(&q.ctx, p->socket) != 0)
		return ERR_NOMEM;
	q.has_ctx = true;
	if (nng_msg_alloc(&msg, 0) != 0)
		return ERR_NOMEM;
	if (nng_msg_append(msg, text, len) != 0) {
		nng_msg_free(msg);
		return ERR_NOMEM;
	}
	nng_aio_set_timeout(q.aio, (nng_duration)bound_ms);
	nng_aio_set_msg(q.aio, msg);
	nng_ctx_send(q.ctx, q.aio);
	err = wait_for(&q);
	if (err) {
		nng_msg_free(msg); /* still ours when it was not sent */
		return err;
	}
	left = end - clock_ms();
	nng_aio_set_timeout(q.aio, (nng_duration)(left > 0 ? left : 1));
	nng_ctx_recv(q.ctx, q.aio);
	err = wait_for(&q);
	if (!err)
		*ret = nng_aio_get_msg(q.aio);
	return err;
}

/*
 * One probe a second while the peer is silent: who takes the turn moves it
 * on, so that rivals pass.  An answer opens the way again.
 */
static bool
take_turn(struct peer *p)
{
	long long until = atomic_load(&p->skip_until_ms), now = clock_ms();

	if (until == 0)
		return true;
	return now >= until &&
	    atomic_compare_exchange_strong(
		&p->skip_until_ms, &until, now + SKIP_MS);
}

static enum err
ask(struct peer *p, const struct message_request *rq, int64_t bound_ms,
    struct message_reply *ret)
{
	char *text;
	size_t len;
	nng_msg *msg;
	enum err err;

	if (atomic_load(&p->connected) == 0 &&
	    clock_ms() > p->dialed_ms + FRESH_MS)
		return ERR_PEER;
	if (!take_turn(p))
		return ERR_TIMEOUT;
	err = message_request_encode(rq, &text, &len);
	if (err)
		return err;
	err = exchange(p, text, len, bound_ms, &msg);
	free(text);
	if (err) {
		if (err == ERR_TIMEOUT) {
			long long before = atomic_exchange(
			    &p->skip_until_ms, clock_ms() + SKIP_MS);

			if (before == 0)
				log_at(LOG_WARN, "runner_silent",
				    LOG_STR("address", &p->address[0]));
		}
		return err;
	}
	if (atomic_exchange(&p->skip_until_ms, 0) != 0)
		log_at(LOG_INFO, "runner_answers",
		    LOG_STR("address", &p->address[0]));
	err = message_reply_decode(nng_msg_body(msg), nng_msg_len(msg), ret);
	nng_msg_free(msg);
	return err ? ERR_PEER : ERR_OK;
}

/* --- what handlers call ----------------------------------------------- */

enum err
runner_client_open(struct runner_client **ret, const struct settings *s)
{
	struct runner_client *c = calloc(1, sizeof *c);
	const char *at = s->runner_url;
	enum err err = ERR_OK;

	if (!c)
		return ERR_NOMEM;
	c->s = s;
	pthread_mutex_init(&c->lock, NULL);
	while (!err && *(at += strspn(at, ", \t")) != '\0') {
		size_t n = strcspn(at, ", \t");

		err = c->n_peers == PEERS_MAX / 2
		    ? ERR_TOO_LARGE
		    : peer_open(at, n, true, &c->peers[c->n_peers]);
		if (!err)
			c->n_peers++;
		at += n;
	}
	if (err) {
		log_at(LOG_ERROR, "runner_url_unusable",
		    LOG_STR("error", err_name(err)),
		    LOG_STR("urls", s->runner_url));
		runner_client_close(c);
		return err;
	}
	*ret = c;
	return ERR_OK;
}

void
runner_client_close(struct runner_client *c)
{
	if (!c)
		return;
	for (int i = 0; i < c->n_peers; i++)
		peer_close(c->peers[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
runner_hint(struct runner_client *c, const char *request_id,
    const char *const *sync_ids, size_t n)
{
	int64_t end = clock_ms() + c->s->hint_timeout_ms;

	for (size_t at = 0; at < n;) {
		struct message_request rq = { .op = MESSAGE_START,
			.request_id = request_id };
		struct message_reply rp;
		struct peer *p = any_peer(c);
		int64_t left = end - clock_ms();

		if (!p || left <= 0)
			return;
		while (at < n && rq.n_sync_ids < MESSAGE_IDS_MAX)
			rq.sync_ids[rq.n_sync_ids++] = sync_ids[at++];
		if (ask(p, &rq, left, &rp))
			return; /* they wait in the database */
		message_reply_fini(&rp);
	}
}

enum err
runner_cancel(struct runner_client *c, const char *address,
    const char *request_id, const char *user_id, const char *sync_id,
    char *status, size_t status_size, char *text, size_t text_size)
{
	const struct message_request rq = { .op = MESSAGE_CANCEL,
		.request_id = request_id,
		.user_id = user_id,
		.sync_id = sync_id };
	struct peer *p = address ? peer_of(c, address) : any_peer(c);
	struct message_reply rp;
	enum err err;

	if (!p)
		return ERR_PEER;
	err = ask(p, &rq, c->s->cancel_timeout_ms, &rp);
	if (err)
		return err;
	if (rp.ok && rp.status) {
		snprintf(status, status_size, "%s", rp.status);
		snprintf(text, text_size, "%s", rp.text ? rp.text : "");
	} else {
		err = rp.code && strcmp(rp.code, "not_mine") == 0
		    ? ERR_NOT_FOUND
		    : ERR_PEER;
	}
	message_reply_fini(&rp);
	return err;
}

int
runner_connected(struct runner_client *c)
{
	int n = 0;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < c->n_peers; i++)
		n += c->peers[i]->listed &&
		    atomic_load(&c->peers[i]->connected) > 0;
	pthread_mutex_unlock(&c->lock);
	return n;
}
