/* db_copy.c - rows into a table, COPY text form. */
#include "shared/db_room.h"

#include <stdio.h>

enum err
db_copy_start(struct db *db, const char *copy_sql)
{
	int64_t deadline = db_deadline(db->o.timeout_ms);
	char sql[1024];
	PGresult *res = NULL;
	enum err err = db_connect(db);

	if (err)
		return err;
	if (snprintf(sql, sizeof sql, "%s%s", db->in_tx ? "" : "BEGIN;",
		copy_sql) >= (int)sizeof sql)
		return ERR_INVAL;
	if (!PQsendQuery(db->conn, sql))
		return db_fail_call(db, db_take_error(db, NULL));
	db->in_tx = true;
	for (;;) {
		ExecStatusType st;

		err = db_next_result(db, &res, deadline, true);
		if (err)
			return db_fail_call(db, err);
		if (!res)
			return ERR_DB;
		st = PQresultStatus(res);
		if (st == PGRES_COPY_IN) {
			PQclear(res);
			db->copying = true;
			return ERR_OK;
		}
		if (st != PGRES_COMMAND_OK) {
			err = db_take_error(db, res);
			PQclear(res);
			while (!db_next_result(db, &res, deadline, true) && res)
				PQclear(res);
			return db_fail_call(db, err);
		}
		PQclear(res);
	}
}

enum err
db_copy_put(struct db *db, const char *buf, size_t len)
{
	int64_t deadline = db_deadline(db->o.timeout_ms);

	if (!db->conn || !db->copying)
		return ERR_DB_AWAY;
	for (;;) {
		int n = PQputCopyData(db->conn, buf, (int)len);
		enum err err;

		if (n == 1)
			return ERR_OK;
		if (n < 0)
			return db_take_error(db, NULL);
		err = db_flush_all(db, deadline, true);
		if (err)
			return err; /* db_rollback drops the session */
	}
}

enum err
db_copy_end(struct db *db)
{
	int n;

	if (!db->conn || !db->copying)
		return ERR_DB_AWAY;
	while ((n = PQputCopyEnd(db->conn, NULL)) == 0) {
		enum err err =
		    db_flush_all(db, db_deadline(db->o.timeout_ms), true);

		if (err)
			return err;
	}
	if (n < 0)
		return db_take_error(db, NULL);
	db->copying = false;
	return db_read_one(db, NULL);
}
