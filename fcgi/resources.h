/*
 * resources.h - every handler of the route table, a file per resource.
 *
 * A handler reads rq and answers rp; it blocks on the database and on
 * nothing else without a bound.  What it does not answer becomes a 500.
 */
#ifndef SYNCLINE_RESOURCES_H
#define SYNCLINE_RESOURCES_H

#include "fcgi/req.h"

/* health.c */
void health_live(struct req *rq, struct reply *rp);
void health_ready(struct req *rq, struct reply *rp);

/* track.c */
void metrics_track(struct req *rq, struct reply *rp);

/* connections.c */
void connection_list(struct req *rq, struct reply *rp);
void connection_show(struct req *rq, struct reply *rp);
void connection_put(struct req *rq, struct reply *rp);
void connection_delete(struct req *rq, struct reply *rp);

/* integrations.c */
void integrations_status(struct req *rq, struct reply *rp);

/* start.c */
void sync_start(struct req *rq, struct reply *rp);
void sync_force(struct req *rq, struct reply *rp);
void sync_force_clear(struct req *rq, struct reply *rp);
void sync_retry(struct req *rq, struct reply *rp);
void amazon_sync_start(struct req *rq, struct reply *rp);

/* cancel.c: the id is the path's, the query's or the body's */
void sync_cancel(struct req *rq, struct reply *rp);

/* status.c */
void sync_status(struct req *rq, struct reply *rp); /* latest, or ?id= */
void sync_show(struct req *rq, struct reply *rp);   /* ":id" */

/* results.c, history.c, activity.c, statistics.c */
void sync_results(struct req *rq, struct reply *rp);
void sync_history(struct req *rq, struct reply *rp);
void sync_activity(struct req *rq, struct reply *rp);
void sync_statistics(struct req *rq, struct reply *rp);

/* queue.c */
void queue_status(struct req *rq, struct reply *rp);
void queue_cleanup(struct req *rq, struct reply *rp);
void queue_bulk(struct req *rq, struct reply *rp);

/* openapi.c */
void openapi_show(struct req *rq, struct reply *rp);

#endif
