/* test_journal.c - batches against a real server: fenced, refused, replayed. */
#include "runner/journal.h"
#include "shared/clock.h"
#include "testdb.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A journal over a lease, and what its entries said. */
struct bench {
	struct settings s;
	struct lease *lease;
	struct journal *j;
	struct db *db;
	char dir[64];
	const struct term *term;
};

struct asked {
	struct journal_entry e;
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool done;
	enum err err;
	int rows;
	int64_t epoch;
};

static void
ignore_term(void *arg, const struct term *t)
{
	(void)arg;
	(void)t;
}

static void
bench_open(struct bench *b)
{
	const struct lease_events ev = { ignore_term, ignore_term, NULL };
	char why[256];

	memset(b, 0, sizeof *b);
	assert_int_equal(settings_load(&b->s, why, sizeof why), ERR_OK);
	strcpy(b->dir, "/tmp/syncline-journal-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->s.db = getenv("SYNCLINE_TEST_DB");
	b->s.runner_dir = b->dir;
	b->s.runner_name = "journal";
	b->db = testdb_open(10000);
	testdb_sql(
	    b->db, "UPDATE syncline.sync_active SET status = 'cancelled'");
	assert_int_equal(
	    lease_open(&b->lease, &b->s, &ev, why, sizeof why), ERR_OK);
	assert_int_equal(lease_start(b->lease), ERR_OK);
	for (int i = 0; i < 500 && !lease_term(b->lease); i++)
		usleep(10000);
	b->term = lease_term(b->lease);
	assert_non_null(b->term);
	assert_int_equal(journal_open(&b->j, &b->s, b->lease), ERR_OK);
}

static void
bench_close(struct bench *b)
{
	char path[128];

	journal_stop(b->j, clock_ms() + 5000);
	lease_stop(b->lease);
	journal_close(b->j);
	lease_close(b->lease);
	db_close(b->db);
	snprintf(path, sizeof path, "%s/journal.lock", b->dir);
	unlink(path);
	rmdir(b->dir);
}

static void
sync_insert(struct bench *b, const char *id)
{
	char sql[256];

	snprintf(sql, sizeof sql,
	    "INSERT INTO syncline.sync_active (sync_id, user_id, "
	    "connection_id, provider) VALUES ('%s', 'u-%s', 'c', 'spapi')",
	    id, id);
	testdb_sql(b->db, sql);
}

static void
on_row(struct journal_entry *e, const PGresult *res, int row,
    const struct term *term)
{
	struct asked *a = e->arg;

	assert_non_null(term);
	a->rows++;
	a->epoch = result_i64(res, row, "lease_epoch");
}

static void
on_done(struct journal_entry *e, enum err err)
{
	struct asked *a = e->arg;

	pthread_mutex_lock(&a->lock);
	a->done = true;
	a->err = err;
	pthread_cond_signal(&a->told);
	pthread_mutex_unlock(&a->lock);
}

static struct asked *
ask(struct bench *b, struct asked *a, enum journal_kind kind, const char *id,
    int64_t epoch)
{
	memset(a, 0, sizeof *a);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->told, NULL);
	a->e.kind = kind;
	snprintf(a->e.sync_id, sizeof a->e.sync_id, "%s", id);
	a->e.term = b->term;
	a->e.epoch = epoch;
	a->e.delay_ms = -1;
	a->e.attempt = 1;
	a->e.status = STATUS_CANCELLED;
	a->e.phase = PHASE_QUEUED;
	strcpy(a->e.message, "m");
	a->e.on_row = on_row;
	a->e.on_done = on_done;
	a->e.arg = a;
	journal_add(b->j, &a->e);
	return a;
}

static enum err
answer(struct asked *a)
{
	pthread_mutex_lock(&a->lock);
	while (!a->done)
		pthread_cond_wait(&a->told, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return a->err;
}

static void
test_a_life_in_entries(void **state)
{
	struct bench b;
	struct asked a;

	(void)state;
	NEED_DB();
	bench_open(&b);
	sync_insert(&b, "j1");
	assert_int_equal(journal_start(b.j), ERR_OK);
	assert_int_equal(answer(ask(&b, &a, JOURNAL_CLAIM, "j1", 0)), ERR_OK);
	assert_int_equal(a.rows, 1);
	assert_int_equal(a.epoch, 1);
	/* ours already: not claimed again */
	assert_int_equal(
	    answer(ask(&b, &a, JOURNAL_CLAIM, "j1", 0)), ERR_FENCED);
	assert_int_equal(answer(ask(&b, &a, JOURNAL_MOVE, "j1", 1)), ERR_OK);
	assert_int_equal(
	    answer(ask(&b, &a, JOURNAL_MOVE, "j1", 2)), ERR_FENCED);
	assert_int_equal(answer(ask(&b, &a, JOURNAL_END, "j1", 1)), ERR_OK);
	assert_int_equal(answer(ask(&b, &a, JOURNAL_END, "j1", 1)), ERR_FENCED);
	assert_int_equal(testdb_i64(b.db,
			     "SELECT count(*) FROM "
			     "syncline.sync_history WHERE sync_id = 'j1' "
			     "AND status = 'cancelled'"),
	    1);
	bench_close(&b);
}

#define N 100

/* All queued before the thread begins: one batch of each kind. */
static void
test_a_batch_loses_only_what_is_fenced(void **state)
{
	struct bench b;
	struct asked *a = calloc(2 * N, sizeof *a);
	char id[32];

	(void)state;
	NEED_DB();
	bench_open(&b);
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof id, "b%03d", i);
		sync_insert(&b, id);
		ask(&b, &a[i], JOURNAL_CLAIM, id, 0);
	}
	assert_int_equal(journal_start(b.j), ERR_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(answer(&a[i]), ERR_OK);
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof id, "b%03d", i);
		/* every third names a wrong epoch */
		ask(&b, &a[i], i % 2 ? JOURNAL_END : JOURNAL_MOVE, id,
		    i % 3 ? 1 : 7);
		/* the second change of the same sync comes behind the first */
		ask(&b, &a[N + i], JOURNAL_END, id, 1);
	}
	for (int i = 0; i < N; i++) {
		bool ended = i % 2 && i % 3;

		assert_int_equal(answer(&a[i]), i % 3 ? ERR_OK : ERR_FENCED);
		assert_int_equal(
		    answer(&a[N + i]), ended ? ERR_FENCED : ERR_OK);
	}
	assert_int_equal(
	    testdb_i64(b.db, "SELECT count(*) FROM syncline.sync_active"), 0);
	bench_close(&b);
	free(a);
}

/* A value that the database refuses takes nobody else along. */
static void
test_a_batch_with_a_bad_entry_is_replayed(void **state)
{
	static const char *const ids[] = { "r1", "r2", "r3" };
	struct bench b;
	struct asked a[3];

	(void)state;
	NEED_DB();
	bench_open(&b);
	for (int i = 0; i < 3; i++) {
		sync_insert(&b, ids[i]);
		ask(&b, &a[i], JOURNAL_CLAIM, ids[i], 0);
	}
	assert_int_equal(journal_start(b.j), ERR_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(answer(&a[i]), ERR_OK);
	/* the next three are queued before their journal begins */
	journal_stop(b.j, clock_ms() + 5000);
	journal_close(b.j);
	assert_int_equal(journal_open(&b.j, &b.s, b.lease), ERR_OK);
	for (int i = 0; i < 3; i++) {
		ask(&b, &a[i], JOURNAL_END, ids[i], 1);
		if (i == 1)
			strcpy(a[i].e.message, "not \xff text");
	}
	assert_int_equal(journal_start(b.j), ERR_OK);
	assert_int_equal(answer(&a[0]), ERR_OK);
	assert_int_equal(answer(&a[1]), ERR_DATA);
	assert_int_equal(answer(&a[2]), ERR_OK);
	bench_close(&b);
}

/* The sessions die again and again; each entry is told the truth once. */
static void
test_a_lost_session_loses_no_entry(void **state)
{
	struct bench b;
	struct asked *a = calloc(N, sizeof *a);
	char id[32], sql[256];

	(void)state;
	NEED_DB();
	bench_open(&b);
	assert_int_equal(journal_start(b.j), ERR_OK);
	snprintf(sql, sizeof sql,
	    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) "
	    "FROM pg_stat_activity WHERE application_name = '%s'",
	    b.term->runner_id);
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof id, "l%03d", i);
		sync_insert(&b, id);
		ask(&b, &a[i], JOURNAL_CLAIM, id, 0);
		if (i % 20 == 10)
			(void)testdb_i64(b.db, sql);
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(answer(&a[i]), ERR_OK);
		assert_int_equal(a[i].rows, 1);
	}
	assert_int_equal(testdb_i64(b.db,
			     "SELECT count(*) FROM "
			     "syncline.sync_active WHERE lease_epoch = 1"),
	    N);
	testdb_sql(
	    b.db, "UPDATE syncline.sync_active SET status = 'cancelled'");
	bench_close(&b);
	free(a);
}

static void
test_stopping_gives_up_what_cannot_be_committed(void **state)
{
	struct bench b;
	struct asked a;

	(void)state;
	NEED_DB();
	bench_open(&b);
	ask(&b, &a, JOURNAL_CLAIM, "g1", 0);
	assert_int_equal(journal_start(b.j), ERR_OK);
	journal_stop(b.j, 0);
	assert_true(answer(&a) == ERR_INTERRUPTED || a.err == ERR_FENCED);
	bench_close(&b);
}

static void
test_texts_become_utf8(void **state)
{
	char to[8];

	(void)state;
	journal_text(to, sizeof to, NULL);
	assert_string_equal(to, "");
	journal_text(to, sizeof to, "short");
	assert_string_equal(to, "short");
	journal_text(to, sizeof to, "123456\xc3\xa4");
	assert_string_equal(to, "123456"); /* no half character */
	journal_text(to, sizeof to,
	    "\xff\xfe"
	    "ab cd");
	assert_string_equal(to, "??ab cd");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_life_in_entries),
		cmocka_unit_test(test_a_batch_loses_only_what_is_fenced),
		cmocka_unit_test(test_a_batch_with_a_bad_entry_is_replayed),
		cmocka_unit_test(test_a_lost_session_loses_no_entry),
		cmocka_unit_test(
		    test_stopping_gives_up_what_cannot_be_committed),
		cmocka_unit_test(test_texts_become_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
