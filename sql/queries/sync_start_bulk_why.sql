-- sync_start_bulk_why: why sync_start_bulk gave these users no row, in a
-- snapshot of its own.
-- $1 user ids, $2 seconds after which an unattended sync is stale
-- => user_id, connections, picked, active_id, active_request_id, stale
WITH pick AS (
	SELECT u.user_id, count(c.connection_id) AS connections,
	    CASE WHEN count(*) = 1 THEN min(c.connection_id)
	    ELSE min(c.connection_id) FILTER (WHERE c.is_default) END
	    AS picked
	FROM unnest($1::text[]) AS u(user_id)
	LEFT JOIN syncline.connections c ON c.user_id = u.user_id
	    AND c.status <> 'disconnected'
	GROUP BY u.user_id
)
SELECT p.user_id, p.connections, p.picked, a.sync_id AS active_id,
	a.request_id AS active_request_id, CASE WHEN a.sync_id IS NOT NULL
	    THEN syncline.is_stale(a, make_interval(secs => $2::float8)) END
	    AS stale
FROM pick p
LEFT JOIN syncline.sync_active a ON a.user_id = p.user_id
	AND a.connection_id = p.picked AND a.status = 'running'
