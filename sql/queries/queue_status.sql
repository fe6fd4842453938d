-- queue_status: active syncs by what they do, ended ones by how.
-- $1 user_id, or NULL for everybody
-- => pending, processing, completed, failed
SELECT a.pending, a.processing, u.completed, u.failed
FROM (SELECT
	count(*) FILTER (WHERE phase IN
	    ('queued', 'rate_limited', 'retry_wait')) AS pending,
	count(*) FILTER (WHERE phase NOT IN
	    ('queued', 'rate_limited', 'retry_wait')) AS processing
	FROM syncline.sync_active
	WHERE status = 'running' AND ($1::text IS NULL OR user_id = $1)) a,
(SELECT coalesce(sum(completed), 0) AS completed,
	coalesce(sum(failed), 0) AS failed
	FROM syncline.user_stats
	WHERE $1::text IS NULL OR user_id = $1) u
