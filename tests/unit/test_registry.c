/* test_registry.c - by id, by user, and who owns the references. */
#include "runner/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sync as a claim would make it, with one reference. */
static struct sync *
sync_of_ids(const char *id, const char *user)
{
	struct sync *s = calloc(1, sizeof *s);

	assert_non_null(s);
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	s->sync_id = strdup(id);
	s->user_id = strdup(user);
	return s;
}

static void
test_add_find_remove(void **state)
{
	struct registry *r;
	struct sync *s = sync_of_ids("s1", "ann"), *found;
	struct sync *twin = sync_of_ids("s1", "bob");

	(void)state;
	assert_int_equal(registry_open(&r), ERR_OK);
	assert_int_equal(registry_add(r, s), ERR_OK);
	assert_int_equal(registry_add(r, twin), ERR_CONFLICT);
	assert_int_equal(registry_count(r), 1);
	assert_null(registry_find(r, "s2"));
	found = registry_find(r, "s1");
	assert_ptr_equal(found, s);
	assert_int_equal(atomic_load(&s->refs), 3);
	registry_remove(r, twin); /* never was there */
	registry_remove(r, s);
	registry_remove(r, s);
	assert_false(registry_has(r, "s1"));
	assert_int_equal(atomic_load(&s->refs), 2);
	sync_unref(found);
	sync_unref(s);
	sync_unref(twin);
	registry_close(r);
}

static void
test_syncs_of_a_user(void **state)
{
	struct registry *r;
	struct sync *got[2];
	char id[16];

	(void)state;
	assert_int_equal(registry_open(&r), ERR_OK);
	for (int i = 0; i < 6; i++) {
		struct sync *s;

		snprintf(id, sizeof id, "s%d", i);
		s = sync_of_ids(id, i % 2 ? "ann" : "bob");
		assert_int_equal(registry_add(r, s), ERR_OK);
		sync_unref(s);
	}
	assert_int_equal(registry_of_user(r, "ann", got, 2), 3);
	assert_string_equal(got[0]->sync_id, "s1");
	assert_string_equal(got[1]->sync_id, "s3");
	registry_remove(r, got[0]);
	sync_unref(got[0]);
	sync_unref(got[1]);
	assert_int_equal(registry_of_user(r, "ann", NULL, 0), 2);
	assert_int_equal(registry_of_user(r, "cid", NULL, 0), 0);
	registry_close(r); /* lets the other five go */
}

static void
test_all_of_100000(void **state)
{
	struct registry *r;
	struct sync **all;
	size_t n;
	char id[16], user[16];

	(void)state;
	assert_int_equal(registry_open(&r), ERR_OK);
	for (int i = 0; i < 100000; i++) {
		struct sync *s;

		snprintf(id, sizeof id, "s%d", i);
		snprintf(user, sizeof user, "u%d", i / 3);
		s = sync_of_ids(id, user);
		assert_int_equal(registry_add(r, s), ERR_OK);
		sync_unref(s);
	}
	assert_int_equal(registry_all(r, &all, &n), ERR_OK);
	assert_int_equal(n, 100000);
	for (size_t i = 0; i < n; i++) {
		registry_remove(r, all[i]);
		sync_unref(all[i]);
	}
	free(all);
	assert_int_equal(registry_count(r), 0);
	registry_close(r);
}

static void
on_interrupt(void *arg)
{
	(*(int *)arg)++;
}

static void
test_the_first_reason_to_stop_stays(void **state)
{
	struct sync *s = sync_of_ids("s1", "ann");
	int interrupts = 0;

	(void)state;
	assert_int_equal(
	    sync_step_begin(s, on_interrupt, &interrupts), SYNC_GOES_ON);
	assert_true(sync_stop_for(s, SYNC_CANCELLED));
	assert_false(sync_stop_for(s, SYNC_LOST));
	assert_int_equal(interrupts, 1);
	sync_step_end(s);
	assert_int_equal(
	    sync_step_begin(s, on_interrupt, &interrupts), SYNC_CANCELLED);
	sync_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_find_remove),
		cmocka_unit_test(test_syncs_of_a_user),
		cmocka_unit_test(test_all_of_100000),
		cmocka_unit_test(test_the_first_reason_to_stop_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
