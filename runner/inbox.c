/* inbox.c - contexts take requests, a queue hands them to our threads. */
#include "runner/inbox.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/message.h"
#include "shared/version.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#define CONTEXTS 64
#define THREADS 2

enum slot_state { SLOT_RECEIVING, SLOT_WORKING, SLOT_SENDING, SLOT_CLOSED };

/* One context: one request at a time. */
struct slot {
	_Atomic(struct inbox *) inbox; /* set once; nng carries it over */
	nng_ctx ctx;
	nng_aio *aio;
	enum slot_state state;
	nng_msg *msg;             /* the request, while it is worked on */
	struct slot *prev, *next; /* in the queue */
	struct hold_reply reply;  /* of a cancel */
};

struct inbox {
	struct hold *h;
	nng_socket socket;
	struct slot slots[CONTEXTS];
	int n_slots;
	pthread_t threads[THREADS];
	int n_threads;
	bool closed; /* the socket */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct slot *queue;
	bool stopping;
};

/* --- nng's side -------------------------------------------------------- */

/*
 * A slot changes hands under the inbox's lock, so that who gets it sees all
 * that who had it wrote, whatever nng does in between.
 */
static void
slot_pass(struct slot *sl, enum slot_state state)
{
	struct inbox *in = sl->inbox;

	pthread_mutex_lock(&in->lock);
	sl->state = state;
	if (state == SLOT_WORKING) {
		DL_APPEND(in->queue, sl);
		pthread_cond_signal(&in->wake);
	}
	pthread_mutex_unlock(&in->lock);
}

static enum slot_state
slot_state(struct slot *sl)
{
	struct inbox *in = sl->inbox;
	enum slot_state state;

	pthread_mutex_lock(&in->lock);
	state = sl->state;
	pthread_mutex_unlock(&in->lock);
	return state;
}

static void
slot_receive(struct slot *sl)
{
	slot_pass(sl, SLOT_RECEIVING);
	nng_ctx_recv(sl->ctx, sl->aio);
}

/* nng calls this on a thread of its own: take the message, hand it over. */
static void
on_aio(void *arg)
{
	struct slot *sl = arg;
	int rv = nng_aio_result(sl->aio);
	bool sending = slot_state(sl) == SLOT_SENDING;

	if (sending && rv != 0)
		nng_msg_free(nng_aio_get_msg(sl->aio));
	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED) {
		slot_pass(sl, SLOT_CLOSED);
	} else if (!sending && rv == 0) {
		sl->msg = nng_aio_get_msg(sl->aio);
		slot_pass(sl, SLOT_WORKING);
	} else {
		slot_receive(sl);
	}
}

/* --- replies ----------------------------------------------------------- */

/* Answers and makes the slot free for the next request. */
static void
slot_answer(struct slot *sl, const struct message_reply *rp)
{
	nng_msg *msg = sl->msg;
	size_t len;
	char *text;

	sl->msg = NULL;
	nng_msg_clear(msg);
	if (message_reply_encode(rp, &text, &len) == ERR_OK) {
		if (nng_msg_append(msg, text, len) != 0)
			nng_msg_clear(msg); /* an empty answer is no message */
		free(text);
	}
	nng_aio_set_msg(sl->aio, msg);
	slot_pass(sl, SLOT_SENDING);
	nng_ctx_send(sl->ctx, sl->aio);
}

static void
slot_refuse(struct slot *sl, const char *code)
{
	slot_answer(sl, &(struct message_reply){ .ok = false, .code = code });
}

/* --- operations -------------------------------------------------------- */

/* The journal's thread: the commit is made, or will not be. */
static void
on_cancelled(struct hold_reply *r, enum err err)
{
	struct slot *sl = r->arg;

	if (err == ERR_FENCED)
		slot_refuse(sl, "not_mine");
	else if (err)
		slot_refuse(sl, "unavailable");
	else
		slot_answer(sl,
		    &(struct message_reply){
			.ok = true,
			.status = "cancelled",
			.text = "Sync cancelled by user",
		    });
}

static void
op_cancel(struct slot *sl, const struct message_request *rq)
{
	struct hold *h = sl->inbox->h;

	sl->reply = (struct hold_reply){ .on_done = on_cancelled, .arg = sl };
	if (hold_cancel(h, rq->user_id, rq->sync_id, &sl->reply))
		slot_refuse(sl, "not_mine");
}

static void
op_start(struct slot *sl, const struct message_request *rq)
{
	struct hold *h = sl->inbox->h;
	size_t seen = hold_claim(h, rq->sync_ids, rq->n_sync_ids);

	log_at(LOG_DEBUG, "hint", LOG_STR("request_id", rq->request_id),
	    LOG_INT("ids", rq->n_sync_ids), LOG_INT("taken", seen));
	/* what there was no room for is the scan's to find */
	if (seen < rq->n_sync_ids)
		h->on_room(h->arg);
	slot_answer(sl, &(struct message_reply){ .ok = true });
}

static void
op_ping(struct slot *sl)
{
	struct hold *h = sl->inbox->h;
	const struct term *t = lease_term(h->lease);

	if (!t) {
		slot_refuse(sl, "unavailable");
		return;
	}
	slot_answer(sl,
	    &(struct message_reply){
		.ok = true,
		.runner_id = t->runner_id,
		.name = h->settings->runner_name,
		.version = SYNCLINE_VERSION,
		.active = (long long)registry_count(h->registry),
	    });
}

static void
perform(struct slot *sl)
{
	struct message_request rq;

	if (message_request_decode(
		nng_msg_body(sl->msg), nng_msg_len(sl->msg), &rq)) {
		log_at(LOG_WARN, "message_refused",
		    LOG_INT("bytes", nng_msg_len(sl->msg)));
		slot_refuse(sl, "bad_message");
		return;
	}
	switch (rq.op) {
	case MESSAGE_PING:
		op_ping(sl);
		break;
	case MESSAGE_START:
		op_start(sl, &rq);
		break;
	case MESSAGE_CANCEL:
		op_cancel(sl, &rq);
		break;
	case MESSAGE__MAX:
		slot_refuse(sl, "unknown_op");
		break;
	}
	message_request_fini(&rq);
}

/* --- our threads ------------------------------------------------------- */

static void *
run(void *arg)
{
	struct inbox *in = arg;

	pthread_mutex_lock(&in->lock);
	while (!in->stopping) {
		struct slot *sl = in->queue;

		if (!sl) {
			pthread_cond_wait(&in->wake, &in->lock);
			continue;
		}
		DL_DELETE(in->queue, sl);
		pthread_mutex_unlock(&in->lock);
		perform(sl);
		pthread_mutex_lock(&in->lock);
	}
	pthread_mutex_unlock(&in->lock);
	return NULL;
}

/* --- opening and closing ----------------------------------------------- */

static int
listen_on(struct inbox *in, const char *url)
{
	nng_listener l;
	mode_t mask = umask(077);
	int rv;

	(void)umask(mask);
	rv = nng_socket_set_size(in->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);
	if (rv == 0)
		rv = nng_listener_create(&l, in->socket, url);
	if (rv == 0 && strncmp(url, "ipc://", 6) == 0)
		rv = nng_listener_set_int(
		    l, NNG_OPT_IPC_PERMISSIONS, (int)(0666 & ~mask));
	if (rv == 0)
		rv = nng_listener_start(l, 0);
	return rv;
}

static int
open_slots(struct inbox *in)
{
	int rv = 0;

	while (in->n_slots < CONTEXTS && rv == 0) {
		struct slot *sl = &in->slots[in->n_slots];

		sl->inbox = in;
		rv = nng_aio_alloc(&sl->aio, on_aio, sl);
		if (rv != 0)
			break;
		in->n_slots++;
		rv = nng_ctx_open(&sl->ctx, in->socket);
	}
	return rv;
}

enum err
inbox_open(struct inbox **ret, struct hold *h, char *why, size_t why_size)
{
	struct inbox *in = calloc(1, sizeof *in);
	int rv;

	if (!in)
		return ERR_NOMEM;
	in->h = h;
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->wake, NULL);
	rv = nng_rep0_open(&in->socket);
	in->closed = rv != 0;
	if (rv == 0)
		rv = open_slots(in);
	if (rv == 0)
		rv = listen_on(in, h->settings->runner_listen);
	while (rv == 0 && in->n_threads < THREADS) {
		if (pthread_create(
			&in->threads[in->n_threads], NULL, run, in) != 0)
			rv = NNG_ENOMEM;
		else
			in->n_threads++;
	}
	if (rv != 0) {
		snprintf(why, why_size, "cannot listen on %s: %s",
		    h->settings->runner_listen, nng_strerror(rv));
		inbox_stop(in);
		inbox_close(in);
		return rv == NNG_ENOMEM ? ERR_NOMEM : ERR_IO;
	}
	for (int i = 0; i < in->n_slots; i++)
		slot_receive(&in->slots[i]);
	*ret = in;
	return ERR_OK;
}

void
inbox_stop(struct inbox *in)
{
	if (!in)
		return;
	pthread_mutex_lock(&in->lock);
	in->stopping = true;
	pthread_cond_broadcast(&in->wake);
	pthread_mutex_unlock(&in->lock);
	for (int i = 0; i < in->n_threads; i++)
		pthread_join(in->threads[i], NULL);
	in->n_threads = 0;
}

void
inbox_close(struct inbox *in)
{
	if (!in)
		return;
	if (!in->closed)
		nng_close(in->socket);
	for (int i = 0; i < in->n_slots; i++) {
		struct slot *sl = &in->slots[i];

		nng_aio_stop(sl->aio); /* behind the last callback */
		if (slot_state(sl) == SLOT_WORKING)
			nng_msg_free(sl->msg);
		nng_aio_free(sl->aio);
	}
	pthread_cond_destroy(&in->wake);
	pthread_mutex_destroy(&in->lock);
	free(in);
}
