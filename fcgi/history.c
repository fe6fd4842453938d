/* history.c - pages through a user's syncs, newest first. */
#include "fcgi/resources.h"

#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 100
#define OFFSET_MAX 1000000
#define DATE_LEN 10 /* 2026-01-31 */

struct filter {
	const char *status, *connection_id; /* NULL: any */
	const char *from, *to;
	char from_day[32], to_day[32]; /* back from and to where dates came */
	int64_t limit, offset;
};

/* A parameter that is there and not empty. */
static const char *
given(const struct req *rq, const char *name)
{
	const char *text = req_param(rq, name);

	return text && *text ? text : NULL;
}

static void
bad_parameter(const struct req *rq, struct reply *rp, const char *name,
    const char *sentence)
{
	json_object *o =
	    reply_problem(rp, rq, 400, "invalid_parameter", sentence);

	json_put_text(o, "field", name);
}

static bool
read_status(const struct req *rq, struct reply *rp, struct filter *f)
{
	const char *word = given(rq, "status");
	enum status s;

	if (!word)
		return true;
	if (status_parse(word, &s) || s == STATUS_IDLE) {
		bad_parameter(rq, rp, "status",
		    "The parameter status must be running, completed, failed "
		    "or cancelled.");
		return false;
	}
	f->status = status_name(s);
	return true;
}

static bool
read_connection(const struct req *rq, struct reply *rp, struct filter *f)
{
	f->connection_id = given(rq, "connectionId");
	if (!f->connection_id || sync_id_valid(f->connection_id))
		return true;
	bad_parameter(rq, rp, "connectionId",
	    "The parameter connectionId must have 1 to 128 characters.");
	return false;
}

/* A date is its whole day in UTC, whatever the server's time zone. */
static bool
read_time(const struct req *rq, struct reply *rp, const char *name,
    const char *clock, char day[32], const char **ret)
{
	if (!given(rq, name))
		return true;
	if (!req_param_time(rq, rp, name, ret))
		return false;
	if (*ret && strlen(*ret) == DATE_LEN) {
		snprintf(day, 32, "%sT%sZ", *ret, clock);
		*ret = day;
	}
	return true;
}

static bool
read_filter(const struct req *rq, struct reply *rp, struct filter *f)
{
	return req_param_int(
		   rq, rp, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &f->limit) &&
	    req_param_int(rq, rp, "offset", 0, OFFSET_MAX, 0, &f->offset) &&
	    read_status(rq, rp, f) &&
	    read_time(rq, rp, "from", "00:00:00", f->from_day, &f->from) &&
	    read_time(rq, rp, "to", "24:00:00", f->to_day, &f->to) &&
	    read_connection(rq, rp, f);
}

/* The page and the total in one message. */
static enum err
load(struct req *rq, const struct filter *f, PGresult **ret_page,
    PGresult **ret_total)
{
	enum err err = db_pipe_start(rq->db, false);

	if (err)
		return err;
	db_pipe_run(rq->db, STMT_SYNC_LIST, ret_page, arg_text(rq->who.user),
	    arg_text(f->status), arg_text(f->from), arg_text(f->to),
	    arg_text(f->connection_id), arg_i64(f->limit), arg_i64(f->offset));
	db_pipe_run(rq->db, STMT_SYNC_LIST_TOTAL, ret_total,
	    arg_text(rq->who.user), arg_text(f->status), arg_text(f->from),
	    arg_text(f->to), arg_text(f->connection_id));
	return db_pipe_end(rq->db);
}

void
sync_history(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *page = NULL, *total = NULL;
	struct filter filter = { 0 };
	json_object *o, *list;
	enum err err;

	if (!read_filter(rq, rp, &filter))
		return;
	err = load(rq, &filter, &page, &total);
	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	list = json_object_new_array();
	for (int i = 0; i < PQntuples(page); i++)
		json_object_array_add(
		    list, sync_json_item(page, i, sync_words_of(rq)));
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_object(o, "syncs", list);
	json_put_object(o, "history", json_object_get(list));
	json_put_i64(o, "total", result_i64(total, 0, "total"));
	json_put_i64(o, "limit", filter.limit);
	json_put_i64(o, "offset", filter.offset);
	reply_json(rp, 200, o);
}
