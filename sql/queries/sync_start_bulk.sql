-- sync_start_bulk: a new sync for each of many users, on the only or default
-- connection, where none is active.  Rows in user order, so that two such
-- statements wait for each other instead of locking each other out.
-- $1 sync ids, $2 user ids (as many, each once), $3 priority, $4 request_id,
-- $5 max_attempts
-- => user_id, sync_id
WITH asked AS (
	SELECT * FROM unnest($1::text[], $2::text[]) AS t(sync_id, user_id)
), pick AS (
	SELECT a.sync_id, a.user_id, CASE WHEN count(*) = 1
	    THEN min(c.connection_id)
	    ELSE min(c.connection_id) FILTER (WHERE c.is_default) END
	    AS connection_id
	FROM asked a JOIN syncline.connections c ON c.user_id = a.user_id
	WHERE c.status <> 'disconnected'
	GROUP BY a.sync_id, a.user_id
)
INSERT INTO syncline.sync_active (sync_id, user_id, connection_id, provider,
	priority, request_id, max_attempts, cause)
SELECT p.sync_id, p.user_id, c.connection_id, c.provider, $3::smallint, $4,
	$5::integer, 'bulk'
FROM pick p JOIN syncline.connections c ON c.user_id = p.user_id
	AND c.connection_id = p.connection_id
ORDER BY p.user_id
ON CONFLICT (user_id, connection_id) WHERE status = 'running' DO NOTHING
RETURNING user_id, sync_id
