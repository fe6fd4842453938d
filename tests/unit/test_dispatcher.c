/* test_dispatcher.c - turns, priorities, waits, and what must not block. */
#include "runner/dispatcher.h"
#include "shared/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An item that knows its name. */
struct thing {
	struct dispatcher_item it;
	const char *name;
};

static const char *
next_name(struct dispatcher *d, int64_t now)
{
	struct dispatcher_item *it;

	if (!dispatcher_next(d, now, &it))
		return NULL;
	return ((struct thing *)(void *)it)->name;
}

static struct thing *
thing_join(struct dispatcher *d, struct thing *t, const char *user,
    const char *name, int priority, enum lane lane)
{
	*t = (struct thing){ .name = name };
	t->it.priority = priority;
	t->it.lane = lane;
	assert_int_equal(dispatcher_join(d, &t->it, user), ERR_OK);
	return t;
}

static void
put_new(struct dispatcher *d, struct thing *t, const char *user,
    const char *name, int priority, enum lane lane)
{
	dispatcher_put(d, &thing_join(d, t, user, name, priority, lane)->it, 0);
}

static void
end(struct dispatcher *d, struct thing *things, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		dispatcher_done(d, &things[i].it);
		dispatcher_remove(d, &things[i].it);
		dispatcher_leave(d, &things[i].it);
	}
	dispatcher_close(d);
}

static void
test_users_take_turns(void **state)
{
	struct dispatcher *d;
	struct thing t[5];

	(void)state;
	assert_int_equal(dispatcher_open(&d, 8), ERR_OK);
	put_new(d, &t[0], "ann", "a1", 1, LANE_SHORT);
	put_new(d, &t[1], "ann", "a2", 1, LANE_SHORT);
	put_new(d, &t[2], "ann", "a3", 1, LANE_SHORT);
	put_new(d, &t[3], "bob", "b1", 1, LANE_SHORT);
	put_new(d, &t[4], "cid", "c1", 1, LANE_SHORT);
	assert_string_equal(next_name(d, 1), "a1");
	assert_string_equal(next_name(d, 1), "b1");
	assert_string_equal(next_name(d, 1), "c1");
	assert_string_equal(next_name(d, 1), "a2");
	/* a1 is behind a3, for a user's own wait counts too */
	dispatcher_put(d, &t[0].it, 0);
	assert_string_equal(next_name(d, 1), "a3");
	assert_string_equal(next_name(d, 1), "a1");
	assert_null(next_name(d, 1));
	end(d, t, 5);
}

static void
test_priority_goes_first(void **state)
{
	struct dispatcher *d;
	struct thing t[4];

	(void)state;
	assert_int_equal(dispatcher_open(&d, 8), ERR_OK);
	put_new(d, &t[0], "ann", "low", 0, LANE_SHORT);
	put_new(d, &t[1], "bob", "normal", 1, LANE_SHORT);
	put_new(d, &t[2], "ann", "urgent", 3, LANE_LONG);
	put_new(d, &t[3], "cid", "high", 2, LANE_SHORT);
	assert_string_equal(next_name(d, 1), "urgent");
	assert_string_equal(next_name(d, 1), "high");
	assert_string_equal(next_name(d, 1), "normal");
	assert_string_equal(next_name(d, 1), "low");
	end(d, t, 4);
}

static void
test_waits_end_in_their_order(void **state)
{
	static const int64_t due[] = { 50, 10, 40, 20, 30, 20 };
	static const char *const names[] = { "50", "10", "40", "20", "30",
		"20" };
	struct dispatcher *d;
	struct thing t[6];

	(void)state;
	assert_int_equal(dispatcher_open(&d, 8), ERR_OK);
	for (int i = 0; i < 6; i++)
		dispatcher_put(d,
		    &thing_join(d, &t[i], names[i], names[i], 1, LANE_SHORT)
			 ->it,
		    due[i]);
	assert_int_equal(dispatcher_due(d, &t[2].it), 40);
	assert_null(next_name(d, 9));
	assert_string_equal(next_name(d, 10), "10");
	assert_true(dispatcher_remove(d, &t[4].it)); /* 30 */
	assert_false(dispatcher_remove(d, &t[4].it));
	assert_null(next_name(d, 19));
	assert_string_equal(next_name(d, 20), "20");
	assert_string_equal(next_name(d, 39), "20");
	assert_null(next_name(d, 39));
	assert_string_equal(next_name(d, 100), "40");
	assert_string_equal(next_name(d, 100), "50");
	end(d, t, 6);
}

static void
test_long_steps_get_half_of_the_workers(void **state)
{
	struct dispatcher *d;
	struct thing t[6];

	(void)state;
	assert_int_equal(dispatcher_open(&d, 4), ERR_OK);
	put_new(d, &t[0], "a", "l1", 3, LANE_LONG);
	put_new(d, &t[1], "b", "l2", 3, LANE_LONG);
	put_new(d, &t[2], "c", "l3", 3, LANE_LONG);
	put_new(d, &t[3], "c", "s1", 1, LANE_SHORT);
	assert_string_equal(next_name(d, 1), "l1");
	assert_string_equal(next_name(d, 1), "l2");
	/* the third, though urgent, holds up neither others nor its user */
	assert_string_equal(next_name(d, 1), "s1");
	assert_null(next_name(d, 1));
	dispatcher_done(d, &t[0].it);
	assert_string_equal(next_name(d, 1), "l3");
	end(d, t, 4);

	assert_int_equal(dispatcher_open(&d, 1), ERR_OK);
	put_new(d, &t[0], "a", "l1", 1, LANE_LONG);
	assert_string_equal(next_name(d, 1), "l1");
	end(d, t, 1);
}

static void
test_a_suspect_steps_alone(void **state)
{
	struct dispatcher *d;
	struct thing t[6];

	(void)state;
	assert_int_equal(dispatcher_open(&d, 4), ERR_OK);
	put_new(d, &t[0], "a", "short", 1, LANE_SHORT);
	put_new(d, &t[1], "b", "long", 1, LANE_LONG);
	assert_string_equal(next_name(d, 1), "short");
	assert_string_equal(next_name(d, 1), "long");
	put_new(d, &t[2], "c", "alone", 1, LANE_ALONE);
	put_new(d, &t[3], "d", "short2", 1, LANE_SHORT);
	put_new(d, &t[4], "d", "long2", 1, LANE_LONG);
	/* while a long step runs, short ones go on, further long ones not */
	assert_string_equal(next_name(d, 1), "short2");
	assert_null(next_name(d, 1));
	dispatcher_done(d, &t[1].it);
	assert_null(next_name(d, 1));
	dispatcher_done(d, &t[0].it);
	put_new(d, &t[5], "e", "short3", 1, LANE_SHORT);
	assert_null(next_name(d, 1)); /* short2 still runs */
	dispatcher_done(d, &t[3].it);
	assert_string_equal(next_name(d, 1), "alone");
	assert_null(next_name(d, 1));
	dispatcher_done(d, &t[2].it);
	assert_string_equal(next_name(d, 1), "long2");
	assert_string_equal(next_name(d, 1), "short3");
	end(d, t, 6);
}

static void
test_one_keeps_on_while_nobody_waits(void **state)
{
	struct dispatcher *d;
	struct thing t[2];
	struct dispatcher_item *it;

	(void)state;
	assert_int_equal(dispatcher_open(&d, 2), ERR_OK);
	put_new(d, &t[0], "a", "one", 1, LANE_SHORT);
	assert_true(dispatcher_next(d, 1, &it));
	assert_true(dispatcher_keep(d, it));
	it->lane = LANE_LONG; /* has to ask for a place */
	assert_false(dispatcher_keep(d, it));
	it->lane = LANE_SHORT;
	put_new(d, &t[1], "b", "two", 1, LANE_SHORT);
	assert_false(dispatcher_keep(d, it));
	end(d, t, 2);
}

#define MANY 100000
#define USERS 5000

/* Takes and puts back each of them; the work of a round must stay small. */
static void
test_100000_are_quick(void **state)
{
	struct dispatcher *d;
	struct thing *t = calloc(MANY, sizeof *t);
	struct dispatcher_counts c;
	struct dispatcher_item *it;
	int64_t began = clock_ms();
	char user[32];

	(void)state;
	assert_non_null(t);
	assert_int_equal(dispatcher_open(&d, 8), ERR_OK);
	for (int i = 0; i < MANY; i++) {
		snprintf(user, sizeof user, "user-%d", i % USERS);
		thing_join(
		    d, &t[i], user, "x", i % 4, i % 7 ? LANE_SHORT : LANE_LONG);
		dispatcher_put(d, &t[i].it, i % 2 ? 0 : 1 + (i * 7919L) % MANY);
	}
	dispatcher_count(d, &c);
	assert_int_equal(c.ready + c.waiting, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_true(dispatcher_next(d, MANY, &it));
		dispatcher_put(d, it, i % 3 ? 0 : MANY + i);
	}
	for (int i = 0; i < MANY; i++) {
		assert_true(dispatcher_remove(d, &t[i].it));
		dispatcher_leave(d, &t[i].it);
	}
	dispatcher_close(d);
	free(t);
	print_message("%d items: %d ms\n", MANY, (int)(clock_ms() - began));
	assert_true(clock_ms() - began < 5000);
}

#define THREADS 8
#define ROUNDS 2000

struct crew {
	struct dispatcher *d;
	int steps; /* guarded by lock */
	pthread_mutex_t lock;
};

static void *
crew_member(void *arg)
{
	struct crew *c = arg;
	struct dispatcher_item *it;

	while (dispatcher_take(c->d, &it) == ERR_OK) {
		int step;

		pthread_mutex_lock(&c->lock);
		step = ++c->steps;
		pthread_mutex_unlock(&c->lock);
		if (step >= ROUNDS)
			dispatcher_stop(c->d);
		dispatcher_put(c->d, it, step % 5 ? 0 : clock_ms() + 1);
	}
	return NULL;
}

static void
test_no_wake_is_lost_among_threads(void **state)
{
	struct crew c = { .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t threads[THREADS];
	struct thing t[20];

	(void)state;
	assert_int_equal(dispatcher_open(&c.d, THREADS), ERR_OK);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, crew_member, &c), 0);
	for (int i = 0; i < 20; i++)
		put_new(c.d, &t[i], i % 2 ? "ann" : "bob", "x", i % 4,
		    (enum lane)(i % LANE__MAX));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(dispatcher_idle(c.d, 0));
	end(c.d, t, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_take_turns),
		cmocka_unit_test(test_priority_goes_first),
		cmocka_unit_test(test_waits_end_in_their_order),
		cmocka_unit_test(test_long_steps_get_half_of_the_workers),
		cmocka_unit_test(test_a_suspect_steps_alone),
		cmocka_unit_test(test_one_keeps_on_while_nobody_waits),
		cmocka_unit_test(test_100000_are_quick),
		cmocka_unit_test(test_no_wake_is_lost_among_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
