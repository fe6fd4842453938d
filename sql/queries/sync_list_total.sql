-- sync_list_total: how many syncs sync_list pages through; from counters
-- where no filter asks for less.
-- $1 user_id, $2 status or NULL, $3 from or NULL, $4 to or NULL,
-- $5 connection_id or NULL
-- => total
SELECT CASE WHEN $3::timestamptz IS NULL AND $4::timestamptz IS NULL
	AND $5::text IS NULL THEN
	(SELECT count(*) FROM syncline.sync_active a WHERE a.user_id = $1
	    AND a.status = 'running' AND ($2::text IS NULL OR $2 = 'running'))
	+ coalesce((SELECT CASE WHEN $2::text IS NULL THEN
	        kept_completed + kept_failed + kept_cancelled
	    WHEN $2 = 'completed' THEN kept_completed
	    WHEN $2 = 'failed' THEN kept_failed
	    WHEN $2 = 'cancelled' THEN kept_cancelled ELSE 0 END
	    FROM syncline.user_stats WHERE user_id = $1), 0)
ELSE
	(SELECT count(*) FROM syncline.sync_all WHERE user_id = $1
	    AND ($2::text IS NULL OR status = $2)
	    AND ($3::timestamptz IS NULL OR started_at >= $3::timestamptz)
	    AND ($4::timestamptz IS NULL OR started_at < $4::timestamptz)
	    AND ($5::text IS NULL OR connection_id = $5))
END AS total
