/* test_load.c - rows, their classes and counts, against a real server. */
#include "runner/load/load.h"
#include "runner/load/load_values.h"
#include "shared/json.h"
#include "testdb.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct load_column parent_columns[] = {
	{ .name = "order_id", .type = LOAD_TEXT, .key = true },
	{ .name = "status", .type = LOAD_TEXT },
	{ .name = "last_updated_time", .type = LOAD_TIMESTAMP,
	    .version = true },
	{ .name = "total", .type = LOAD_NUMERIC },
	{ .name = "item_count", .type = LOAD_BIGINT },
};
static const struct load_stream parents = {
	.name = "orders",
	.table = "orders",
	.columns = parent_columns,
	.n_columns = COUNT_OF(parent_columns),
};

static const struct load_column child_columns[] = {
	{ .name = "order_id", .type = LOAD_TEXT, .key = true },
	{ .name = "order_item_id", .type = LOAD_TEXT, .key = true },
	{ .name = "title", .type = LOAD_TEXT },
	{ .name = "quantity", .type = LOAD_BIGINT },
};
static const struct load_stream children = {
	.name = "order_items",
	.table = "order_items",
	.columns = child_columns,
	.n_columns = COUNT_OF(child_columns),
	.parent_keys = 1,
	.parent = &parents,
};

static const struct load_column stock_columns[] = {
	{ .name = "marketplace_id", .type = LOAD_TEXT, .key = true },
	{ .name = "sku", .type = LOAD_TEXT, .key = true },
	{ .name = "fnsku", .type = LOAD_TEXT, .key = true },
	{ .name = "condition", .type = LOAD_TEXT, .key = true },
	{ .name = "total_quantity", .type = LOAD_BIGINT },
};
static const struct load_stream stock = {
	.name = "inventory",
	.table = "inventory",
	.columns = stock_columns,
	.n_columns = COUNT_OF(stock_columns),
};

static const struct load_column odd_columns[] = {
	{ .name = "row_no", .type = LOAD_TEXT, .key = true },
	{ .name = "a \"quoted\" na'me", .type = LOAD_JSON },
	{ .name = "flag", .type = LOAD_BOOLEAN },
	{ .name = "c0", .type = LOAD_BIGINT },
};
static const struct load_stream odd = {
	.name = "o'dd \"stream\"",
	.table = "odd \"table\"",
	.columns = odd_columns,
	.n_columns = COUNT_OF(odd_columns),
};

/* --- a sync to load for ------------------------------------------------- */

struct room {
	struct db *db;
	struct load *load;
	struct load_target t;
	char sync[48];
};

static int serial;

/* A new running sync of this user and connection, owned by us. */
static void
start_sync(struct room *r, const char *user, const char *connection)
{
	char sql[1024];

	snprintf(r->sync, sizeof r->sync, "sync-%d-%04d", (int)getpid(),
	    ++serial);
	snprintf(sql, sizeof sql,
	    "DELETE FROM syncline.sync_seen;"
	    "UPDATE syncline.sync_active SET status = 'cancelled' "
	    "WHERE user_id = '%s' AND connection_id = '%s';"
	    "INSERT INTO syncline.sync_active (sync_id, user_id, "
	    "connection_id, provider) VALUES ('%s', '%s', '%s', 'test');"
	    "UPDATE syncline.sync_active SET runner_id = 'me', "
	    "lease_epoch = 1, phase = 'fetching' WHERE sync_id = '%s'",
	    user, connection, r->sync, user, connection, r->sync);
	testdb_sql(r->db, sql);
	r->t = (struct load_target){ .user_id = user,
		.connection_id = connection, .sync_id = r->sync,
		.runner_id = "me", .epoch = 1 };
}

static void
begin(struct room *r)
{
	assert_int_equal(load_begin(r->load, &r->t), ERR_OK);
}

static enum err
try_commit(struct room *r, json_object **ret_streams)
{
	struct load_step step = { .phase = "fetching", .message = "m" };
	struct load_result done = { .streams = NULL };
	enum err err = load_commit(r->load, &step, &done);

	if (ret_streams)
		*ret_streams = done.streams;
	else
		json_object_put(done.streams);
	return err;
}

/* Commits and compares a stream's totals: read, inserted, updated,
 * unchanged, repeated, rejected, removed. */
static void
commit(struct room *r, const char *stream, int read, int inserted,
    int updated, int unchanged, int repeated, int rejected, int removed)
{
	CLEANUP(json_clearp) json_object *streams = NULL;
	json_object *s;
	enum err err = try_commit(r, &streams);

	if (err)
		print_error("%s\n", db_error_text(r->db));
	assert_int_equal(err, ERR_OK);
	s = json_member(streams, stream);
	assert_int_equal(json_i64(s, "read", -1), read);
	assert_int_equal(json_i64(s, "inserted", -1), inserted);
	assert_int_equal(json_i64(s, "updated", -1), updated);
	assert_int_equal(json_i64(s, "unchanged", -1), unchanged);
	assert_int_equal(json_i64(s, "repeated", -1), repeated);
	assert_int_equal(json_i64(s, "rejected", -1), rejected);
	assert_int_equal(json_i64(s, "removed", -1), removed);
}

static void
put_order(struct room *r, const char *id, const char *status, const char *at)
{
	const char *v[] = { id, status, at, "12.30", "2" };

	assert_int_equal(load_row(r->load, &parents, v, "{}"), ERR_OK);
}

static void
put_item(struct room *r, const char *id, const char *item, const char *n)
{
	const char *v[] = { id, item, "a title", n };

	assert_int_equal(load_row(r->load, &children, v, "{}"), ERR_OK);
}

static void
put_stock(struct room *r, const char *market, const char *sku, const char *n)
{
	const char *v[] = { market, sku, "", "NewItem", n };

	assert_int_equal(load_row(r->load, &stock, v, "{}"), ERR_OK);
}

static int
setup(void **state)
{
	struct room *r;

	if (!getenv("SYNCLINE_TEST_DB"))
		return 0;
	r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->db = testdb_open(60000);
	assert_int_equal(load_open(&r->load, r->db), ERR_OK);
	testdb_sql(r->db, "TRUNCATE syncline.orders, syncline.order_items, "
			  "syncline.inventory, syncline.quarantine, "
			  "syncline.stream_state");
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct room *r = *state;

	if (!r)
		return 0;
	load_close(r->load);
	db_close(r->db);
	free(r);
	return 0;
}

#define T1 "2026-01-01T00:00:00Z"
#define T2 "2026-01-02T00:00:00Z"
#define T3 "2026-01-03T02:00:00+02:00"

/* --- classes -------------------------------------------------------------- */

static void
test_each_row_is_in_one_class(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	put_order(r, "2", "NEW", T1);
	put_order(r, "3", "NEW", T2);
	commit(r, "orders", 3, 3, 0, 0, 0, 0, 0);
	begin(r); /* met again in the same sync, one of them changed */
	put_order(r, "1", "NEW", T1);
	put_order(r, "2", "SENT", T2);
	commit(r, "orders", 5, 3, 0, 0, 2, 0, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.orders WHERE order_id = '2' AND status = 'SENT'"), 1);

	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);  /* the same */
	put_order(r, "2", "BACK", T3); /* newer */
	put_order(r, "3", "OLD", T1);  /* older: never replaces */
	put_order(r, "4", "NEW", T1);
	commit(r, "orders", 4, 1, 1, 2, 0, 0, 0);
	begin(r); /* what was the same is repeated when it comes again */
	put_order(r, "1", "NEW", T1);
	put_order(r, "3", "OLD", T1);
	put_order(r, "2", "BACK", T3);
	commit(r, "orders", 7, 1, 1, 2, 3, 0, 0);
	begin(r); /* and when it comes again with another content */
	put_order(r, "1", "LATE", T3);
	commit(r, "orders", 8, 1, 1, 2, 4, 0, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.orders WHERE (order_id, status) IN (('1', 'LATE'), "
	    "('2', 'BACK'), ('3', 'NEW'), ('4', 'NEW'))"), 4);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.orders WHERE first_sync_id <> last_sync_id"), 2);
}

static void
test_one_batch_may_hold_a_record_twice(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEWER", T2);
	put_order(r, "1", "OLDER", T1); /* the highest version wins */
	put_stock(r, "US", "x", "1");
	put_stock(r, "US", "x", "2"); /* the last one wins */
	commit(r, "orders", 2, 1, 0, 0, 1, 0, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.orders WHERE status = 'NEWER'"), 1);
	assert_int_equal(testdb_i64(r->db,
	    "SELECT total_quantity FROM syncline.inventory"), 2);
}

static void
test_equal_rows_are_not_written(void **state)
{
	struct room *r = *state;
	int64_t before;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
	before = testdb_i64(r->db,
	    "SELECT xmin::text::bigint FROM syncline.orders");
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	commit(r, "orders", 1, 0, 0, 1, 0, 0, 0);
	assert_int_equal(testdb_i64(r->db,
	    "SELECT xmin::text::bigint FROM syncline.orders"), before);
}

static void
test_two_accounts_of_one_user_stay_apart(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_stock(r, "US", "x", "1");
	put_stock(r, "US", "y", "1");
	commit(r, "inventory", 2, 2, 0, 0, 0, 0, 0);
	start_sync(r, "ann", "b");
	begin(r);
	put_stock(r, "US", "x", "7");
	assert_int_equal(load_snapshot(r->load, &stock, "marketplace_id",
	    "US"), ERR_OK);
	commit(r, "inventory", 1, 1, 0, 0, 0, 0, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.inventory WHERE (connection_id, sku, total_quantity) "
	    "IN (('a', 'x', 1), ('a', 'y', 1), ('b', 'x', 7))"), 3);
}

/* --- sets ------------------------------------------------------------------ */

static void
test_a_snapshot_removes_what_it_lacks(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_stock(r, "US", "x", "1");
	put_stock(r, "US", "y", "1");
	put_stock(r, "CA", "y", "1");
	commit(r, "inventory", 3, 3, 0, 0, 0, 0, 0);
	start_sync(r, "ann", "a");
	begin(r);
	put_stock(r, "US", "x", "1");
	put_stock(r, "US", "z", "1");
	assert_int_equal(load_snapshot(r->load, &stock, "marketplace_id",
	    "US"), ERR_OK);
	commit(r, "inventory", 2, 1, 0, 1, 0, 0, 1);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.inventory WHERE (marketplace_id, sku) IN "
	    "(('US', 'x'), ('US', 'z'), ('CA', 'y'))"), 3);
	begin(r); /* an empty one removes all */
	assert_int_equal(load_snapshot(r->load, &stock, "marketplace_id",
	    "US"), ERR_OK);
	commit(r, "inventory", 2, 1, 0, 1, 0, 0, 3);
}

static void
test_children_are_replaced_with_their_parent(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	put_item(r, "1", "a", "1");
	put_item(r, "1", "b", "1");
	put_order(r, "2", "NEW", T1);
	put_item(r, "2", "a", "1");
	put_order(r, "3", "NEW", T2);
	put_item(r, "3", "a", "1");
	commit(r, "order_items", 4, 4, 0, 0, 0, 0, 0);
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "LESS", T2); /* b is gone */
	put_item(r, "1", "a", "2");
	put_order(r, "2", "EMPTY", T2); /* all are gone */
	put_order(r, "3", "OLD", T1);   /* an older one changes nothing */
	put_item(r, "3", "a", "9");
	put_item(r, "3", "b", "9");
	commit(r, "order_items", 3, 0, 1, 2, 0, 0, 2);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.order_items"), 2);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.order_items WHERE (order_id, order_item_id, quantity) "
	    "IN (('1', 'a', 2), ('3', 'a', 1))"), 2);
}

static void
test_the_last_coming_of_a_parent_counts(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	put_item(r, "1", "a", "1");
	put_item(r, "1", "b", "1");
	put_order(r, "2", "NEW", T1);
	put_item(r, "2", "a", "1");
	put_order(r, "1", "LESS", T2);
	put_item(r, "1", "a", "5");
	commit(r, "order_items", 4, 2, 0, 0, 2, 0, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.order_items WHERE (order_id, order_item_id, quantity) "
	    "IN (('1', 'a', 5), ('2', 'a', 1))"), 2);
}

/* --- values ----------------------------------------------------------------- */

static void
test_bad_rows_go_to_quarantine(void **state)
{
	struct room *r = *state;
	const char *bad[][5] = {
		{ NULL, "no key", T1, "1", "1" },
		{ "b1", "number", T1, "12,30", "1" },
		{ "b2", "time", "2026-02-30T00:00:00Z", "1", "1" },
		{ "b3", "time", "2026-01-01", "1", "1" },
		{ "b4", "integer", T1, "1", "9223372036854775808" },
		{ "b5", "\xff\xfe", T1, "1", "1" },
	};
	CLEANUP(result_clearp) PGresult *res = NULL;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(load_row(r->load, &parents, bad[i],
		    "raw \xff text"), ERR_OK);
	put_order(r, "good", "NEW", T1);
	assert_int_equal(load_reject(r->load, &children, "no object", NULL),
	    ERR_OK);
	assert_int_equal(load_rows(r->load), 8);
	assert_int_equal(load_rejected(r->load), 7);
	commit(r, "orders", 7, 1, 0, 0, 0, 6, 0);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.quarantine WHERE stream = 'orders' "
	    "AND raw = 'raw ? text'"), 6);
	assert_int_equal(db_sql(r->db, "SELECT reason FROM "
	    "syncline.quarantine ORDER BY quarantine_id LIMIT 1", &res),
	    ERR_OK);
	assert_string_equal(PQgetvalue(res, 0, 0), "order_id is missing");
}

static void
test_hostile_texts_arrive_as_they_are(void **state)
{
	struct room *r = *state;
	static const char nasty[] = "\\N\\.\n\\.\r\n\t'\"; DROP TABLE x; --"
				    "\x01\x7f\\\\ \xf0\x9f\x98\x80 end\\";
	const char *v[] = { "\\.", nasty, T1, "-0.1e-3", NULL };
	CLEANUP(result_clearp) PGresult *res = NULL;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	assert_int_equal(load_row(r->load, &parents, v, NULL), ERR_OK);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
	assert_int_equal(db_sql(r->db, "SELECT order_id, status, "
	    "total = -0.0001, item_count FROM syncline.orders", &res), ERR_OK);
	assert_string_equal(PQgetvalue(res, 0, 0), "\\.");
	assert_string_equal(PQgetvalue(res, 0, 1), nasty);
	assert_string_equal(PQgetvalue(res, 0, 2), "t");
	assert_true(PQgetisnull(res, 0, 3));
}

static void
test_odd_names_are_quoted(void **state)
{
	struct room *r = *state;
	const char *v[] = { "k", "{\"a\": [1, \"\\u00e9\"]}", "true", "1" };

	NEED_DB();
	testdb_sql(r->db,
	    "DROP TABLE IF EXISTS syncline.\"odd \"\"table\"\"\";"
	    "CREATE TABLE syncline.\"odd \"\"table\"\"\" (user_id text "
	    "COLLATE \"C\", connection_id text COLLATE \"C\", row_no text "
	    "COLLATE \"C\", \"a \"\"quoted\"\" na'me\" jsonb, flag boolean, "
	    "c0 integer, first_sync_id text, last_sync_id text, "
	    "PRIMARY KEY (user_id, connection_id, row_no))");
	start_sync(r, "ann", "a");
	begin(r);
	assert_int_equal(load_row(r->load, &odd, v, NULL), ERR_OK);
	commit(r, odd.name, 1, 1, 0, 0, 0, 0, 0);
	begin(r);
	v[2] = "false";
	assert_int_equal(load_row(r->load, &odd, v, NULL), ERR_OK);
	commit(r, odd.name, 2, 1, 0, 0, 1, 0, 0);
	testdb_sql(r->db, "DROP TABLE syncline.\"odd \"\"table\"\"\"");
}

/* Whatever value_problem lets through, the server takes too. */
static void
test_accepted_values_are_accepted_by_the_server(void **state)
{
	struct room *r = *state;
	static const struct {
		enum load_type type;
		const char *text;
		bool good;
	} cases[] = {
		{ LOAD_BIGINT, "-9223372036854775808", true },
		{ LOAD_BIGINT, "9223372036854775807", true },
		{ LOAD_BIGINT, "-9223372036854775809", false },
		{ LOAD_BIGINT, "00000000000000000000000001", true },
		{ LOAD_BIGINT, "+1", true },
		{ LOAD_BIGINT, "1.0", false },
		{ LOAD_BIGINT, "", false },
		{ LOAD_BIGINT, " 1", false },
		{ LOAD_NUMERIC, "1e400", true },
		{ LOAD_NUMERIC, "1e-400", true },
		{ LOAD_NUMERIC, "1e401", false },
		{ LOAD_NUMERIC, ".5", true },
		{ LOAD_NUMERIC, "5.", true },
		{ LOAD_NUMERIC, ".", false },
		{ LOAD_NUMERIC, "NaN", false },
		{ LOAD_NUMERIC, "1e", false },
		{ LOAD_NUMERIC, "0x10", false },
		{ LOAD_TIMESTAMP, "2026-02-28T23:59:60Z", true },
		{ LOAD_TIMESTAMP, "2024-02-29T00:00:00.123456789+15:59",
		    true },
		{ LOAD_TIMESTAMP, "2026-02-29T00:00:00Z", false },
		{ LOAD_TIMESTAMP, "9999-12-31T23:59:59-15:59", true },
		{ LOAD_TIMESTAMP, "0001-01-01T00:00:00+15:59", true },
		{ LOAD_TIMESTAMP, "0000-01-01T00:00:00Z", false },
		{ LOAD_TIMESTAMP, "2026-01-01t00:00:00z", true },
		{ LOAD_TIMESTAMP, "2026-01-01T24:00:00Z", false },
		{ LOAD_TIMESTAMP, "2026-01-01T00:00:00", false },
		{ LOAD_TIMESTAMP, "infinity", false },
		{ LOAD_JSON, "{\"a\":[1,2,{}],\"b\":null}", true },
		{ LOAD_JSON, " -0.1e10 ", true },
		{ LOAD_JSON, "\"\\ud83d\\ude00\"", true },
		{ LOAD_JSON, "\"\\ud83d\"", false },
		{ LOAD_JSON, "\"\\ude00\"", false },
		{ LOAD_JSON, "\"\\u0000\"", false },
		{ LOAD_JSON, "1e999999", false },
		{ LOAD_JSON, "[1,]", false },
		{ LOAD_JSON, "01", false },
		{ LOAD_JSON, "{\"a\" 1}", false },
		{ LOAD_JSON, "\"a\nb\"", false },
		{ LOAD_JSON, "", false },
	};

	NEED_DB();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *problem = value_problem(cases[i].type,
		    cases[i].text, strlen(cases[i].text));
		char sql[256];
		enum err err;

		if (cases[i].good == (problem != NULL))
			print_error("%s: %s\n", cases[i].text,
			    problem ? problem : "accepted");
		assert_int_equal(problem == NULL, cases[i].good);
		if (problem)
			continue;
		snprintf(sql, sizeof sql, "SELECT '%s'::%s", cases[i].text,
		    value_type(cases[i].type));
		err = db_sql(r->db, sql, NULL);
		if (err)
			print_error("%s: %s\n", sql, db_error_text(r->db));
		assert_int_equal(err, ERR_OK);
	}
}

static void
test_deep_and_long_values_are_refused(void **state)
{
	static char deep[300], longer[LOAD_TEXT_MAX + 2];

	(void)state;
	memset(deep, '[', 130);
	memset(deep + 130, ']', 130);
	assert_non_null(value_problem(LOAD_JSON, deep, strlen(deep)));
	memset(longer, 'x', sizeof longer - 1);
	assert_non_null(value_problem(LOAD_TEXT, longer, strlen(longer)));
	longer[LOAD_TEXT_MAX] = '\0';
	assert_null(value_problem(LOAD_TEXT, longer, strlen(longer)));
}

static void
test_long_keys_are_refused_not_failed(void **state)
{
	struct room *r = *state;
	char key[LOAD_KEYS_MAX + 2];
	const char *v[] = { key, "NEW", T1, "1", "1" };

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (char)('!' + (i * 31 + i / 7) % 90);
	key[sizeof key - 1] = '\0';
	assert_int_equal(load_row(r->load, &parents, v, NULL), ERR_OK);
	key[sizeof key - 2] = '\0';
	assert_int_equal(load_row(r->load, &parents, v, NULL), ERR_OK);
	commit(r, "orders", 2, 1, 0, 0, 0, 1, 0);
}

/* --- the whole step ----------------------------------------------------------- */

static void
test_a_fenced_step_writes_nothing(void **state)
{
	struct room *r = *state;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	r->t.epoch = 2;
	assert_int_equal(try_commit(r, NULL), ERR_FENCED);
	assert_int_equal(
	    testdb_i64(r->db, "SELECT count(*) FROM syncline.orders"), 0);
	r->t.epoch = 1; /* and the loader goes on to work */
	begin(r);
	put_order(r, "1", "NEW", T1);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
}

static void
test_a_commit_carries_cursor_checkpoint_and_event(void **state)
{
	struct room *r = *state;
	struct load_step step = { .phase = "fetching", .message = "m",
		.progress = 42 };
	struct load_result done;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	step.checkpoint = json_tokener_parse("{\"at\": 5}");
	step.notes = json_tokener_parse("{\"orders\":{\"done\":true}}");
	step.cursors = json_tokener_parse("{\"orders\":{\"mark\":7}}");
	step.events = json_tokener_parse("[{\"type\":\"info\",\"kind\":\"k\","
					 "\"message\":\"text\"}]");
	assert_int_equal(load_commit(r->load, &step, &done), ERR_OK);
	json_object_put(step.checkpoint);
	json_object_put(step.notes);
	json_object_put(step.cursors);
	json_object_put(step.events);
	assert_true(json_flag(
	    json_member(done.streams, "orders"), "done", false));
	json_object_put(done.streams);
	assert_true(done.progress == 42);
	assert_int_equal(testdb_i64(r->db, "SELECT (cursor ->> 'mark')::int "
	    "FROM syncline.stream_state"), 7);
	assert_int_equal(testdb_i64(r->db, "SELECT (checkpoint ->> 'at')::int "
	    "FROM syncline.sync_active WHERE connection_id = 'a' "
	    "AND user_id = 'ann'"), 5);
	assert_int_equal(testdb_i64(r->db, "SELECT count(*) FROM "
	    "syncline.sync_events JOIN syncline.sync_active USING (sync_id) "
	    "WHERE kind = 'k' AND sync_events.message = 'text'"), 1);
}

static void
test_restart_and_abort_forget_the_rows(void **state)
{
	struct room *r = *state;
	char id[16];

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	for (int i = 0; i < 20000; i++) { /* past what is kept in memory */
		snprintf(id, sizeof id, "%d", i);
		put_order(r, id, "LOST", T1);
	}
	assert_true(db_in_transaction(r->db));
	assert_int_equal(load_restart(r->load), ERR_OK);
	assert_false(db_in_transaction(r->db));
	assert_int_equal(load_rows(r->load), 0);
	put_order(r, "kept", "NEW", T1);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
	begin(r);
	put_order(r, "gone", "NEW", T1);
	load_abort(r->load);
	begin(r);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
}

static void
test_a_new_session_gets_its_tables(void **state)
{
	struct room *r = *state;
	char sql[96];
	struct db *other;

	NEED_DB();
	start_sync(r, "ann", "a");
	begin(r);
	put_order(r, "1", "NEW", T1);
	commit(r, "orders", 1, 1, 0, 0, 0, 0, 0);
	other = testdb_open(5000);
	snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)",
	    db_backend_pid(r->db));
	testdb_sql(other, sql);
	db_close(other);
	begin(r);
	put_order(r, "2", "NEW", T1);
	commit(r, "orders", 2, 2, 0, 0, 0, 0, 0);
}

struct interrupter {
	struct db *db;
	useconds_t after_us;
};

static void *
interrupt_after(void *arg)
{
	const struct interrupter *i = arg;

	usleep(i->after_us);
	db_interrupt(i->db);
	return NULL;
}

/* Wherever a cancel meets a new session, the next step finds it in order. */
static void
test_an_interrupt_leaves_no_half_made_session(void **state)
{
	struct room *r = *state;

	NEED_DB();
	for (useconds_t us = 0; us < 12000; us += 200) {
		struct interrupter i = { .db = r->db, .after_us = us };
		pthread_t t;
		enum err err;

		db_reset(r->db); /* nothing is prepared */
		start_sync(r, "interrupted", "c");
		assert_int_equal(
		    pthread_create(&t, NULL, interrupt_after, &i), 0);
		begin(r);
		put_order(r, "o-1", "new", "2026-01-01T00:00:00Z");
		put_item(r, "o-1", "i-1", "1");
		err = try_commit(r, NULL);
		pthread_join(t, NULL);
		db_resume(r->db);
		if (err)
			load_abort(r->load);

		begin(r);
		put_order(r, "o-2", "new", "2026-01-01T00:00:00Z");
		put_item(r, "o-2", "i-2", "1");
		err = try_commit(r, NULL);
		if (err)
			fail_msg("interrupted after %u us: %s",
			    (unsigned)us, db_error_text(r->db));
	}
}

static void
test_more_streams_than_a_session_keeps(void **state)
{
	struct room *r = *state;
	struct load_stream s = parents;
	const char *v[] = { "1", "NEW", T1, "1", "1" };
	char name[16];

	NEED_DB();
	start_sync(r, "ann", "a");
	s.name = name;
	for (int i = 0; i < 130; i++) {
		snprintf(name, sizeof name, "stream%d", i % 65);
		begin(r);
		assert_int_equal(load_row(r->load, &s, v, NULL), ERR_OK);
		assert_int_equal(try_commit(r, NULL), ERR_OK);
	}
	assert_in_range(testdb_i64(r->db, "SELECT count(*) FROM pg_class "
	    "WHERE relname LIKE 'load\\_%' AND "
	    "pg_table_is_visible(oid)"), 1, 64);
	assert_int_equal(
	    testdb_i64(r->db, "SELECT count(*) FROM syncline.orders"), 1);
}

/* --- cost ------------------------------------------------------------------------ */

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The quickest of ten pages of 100 orders, 150 items: load does not count. */
static double
page_cost(struct room *r, int from)
{
	double best = 1e9;
	char id[32];

	for (int page = 0; page < 10; page++) {
		double start = seconds(), took;

		begin(r);
		for (int i = 0; i < 100; i++) {
			snprintf(id, sizeof id, "p%08d",
			    from + page * 100 + i);
			put_order(r, id, "NEW", T1);
			put_item(r, id, "a", "1");
			if (i % 2 == 0)
				put_item(r, id, "b", "1");
		}
		assert_int_equal(try_commit(r, NULL), ERR_OK);
		took = seconds() - start;
		if (took < best)
			best = took;
	}
	return best;
}

/* The same, again while it looks dear: others use this machine as well. */
static double
cheapest_page(struct room *r, double enough, int from)
{
	double best = page_cost(r, from);

	for (int i = 1; i < 4 && best > enough; i++) {
		double again = page_cost(r, from + i * 1000);

		if (again < best)
			best = again;
	}
	return best;
}

static void
test_a_page_costs_the_same_in_a_large_table(void **state)
{
	struct room *r = *state;
	double small, large;

	NEED_DB();
	start_sync(r, "cost", "a");
	/* plans are made while everything is known to be tiny */
	begin(r);
	put_order(r, "first", "NEW", T1);
	put_item(r, "first", "a", "1");
	assert_int_equal(try_commit(r, NULL), ERR_OK);
	testdb_sql(r->db, "ANALYZE syncline.orders; "
			  "ANALYZE syncline.order_items; "
			  "ANALYZE syncline.sync_seen");
	small = page_cost(r, 0);
	testdb_sql(r->db,
	    "INSERT INTO syncline.orders (user_id, connection_id, order_id, "
	    "last_updated_time, first_sync_id, last_sync_id) SELECT 'cost', "
	    "'a', 'x' || i, now(), 's', 's' FROM generate_series(1, 300000) i;"
	    "INSERT INTO syncline.order_items (user_id, connection_id, "
	    "order_id, order_item_id, first_sync_id, last_sync_id) SELECT "
	    "'cost', 'a', 'x' || i, 'a', 's', 's' "
	    "FROM generate_series(1, 300000) i;"
	    "INSERT INTO syncline.sync_seen SELECT sync_id, 'orders', i FROM "
	    "syncline.sync_active, generate_series(1, 300000) i "
	    "WHERE user_id = 'cost'");
	large = cheapest_page(r, small * 2, 10000);
	print_message("a page: %.2f ms among few rows, %.2f ms among "
		      "300,000\n", small * 1e3, large * 1e3);
	assert_true(large < small * 2 + 0.002);
	large = cheapest_page(r, small * 2, 10000); /* the same: all repeated */
	print_message("met again: %.2f ms\n", large * 1e3);
	assert_true(large < small * 2 + 0.002);
	testdb_sql(r->db, "TRUNCATE syncline.orders, syncline.order_items, "
			  "syncline.sync_seen");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_row_is_in_one_class),
		T(test_one_batch_may_hold_a_record_twice),
		T(test_equal_rows_are_not_written),
		T(test_two_accounts_of_one_user_stay_apart),
		T(test_a_snapshot_removes_what_it_lacks),
		T(test_children_are_replaced_with_their_parent),
		T(test_the_last_coming_of_a_parent_counts),
		T(test_bad_rows_go_to_quarantine),
		T(test_hostile_texts_arrive_as_they_are),
		T(test_odd_names_are_quoted),
		T(test_accepted_values_are_accepted_by_the_server),
		T(test_deep_and_long_values_are_refused),
		T(test_long_keys_are_refused_not_failed),
		T(test_a_fenced_step_writes_nothing),
		T(test_a_commit_carries_cursor_checkpoint_and_event),
		T(test_restart_and_abort_forget_the_rows),
		T(test_a_new_session_gets_its_tables),
		T(test_an_interrupt_leaves_no_half_made_session),
		T(test_more_streams_than_a_session_keeps),
		T(test_a_page_costs_the_same_in_a_large_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
