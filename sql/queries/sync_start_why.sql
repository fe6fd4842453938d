-- sync_start_why: why sync_start gave no row, in a snapshot of its own.
-- $1 user_id, $2 connection_id or NULL, $3 idempotency key or NULL,
-- $4 seconds after which an unattended sync is stale
-- => connections, connection_ids (JSON array), picked, active_id,
--    active_request_id, active_key, active_phase, active_message, stale,
--    known_id, known_hash
WITH mine AS (
	SELECT c.connection_id, c.is_default FROM syncline.connections c
	WHERE c.user_id = $1 AND c.status <> 'disconnected'
), pick AS (
	SELECT coalesce((SELECT connection_id FROM mine
	        WHERE connection_id = $2),
	    CASE WHEN $2::text IS NULL THEN (
	        SELECT CASE WHEN count(*) = 1 THEN min(connection_id)
	            ELSE min(connection_id) FILTER (WHERE is_default) END
	        FROM mine) END) AS connection_id
)
SELECT (SELECT count(*) FROM mine) AS connections,
	(SELECT coalesce(json_agg(connection_id ORDER BY connection_id), '[]')
	    FROM (SELECT connection_id FROM mine
	        ORDER BY connection_id LIMIT 100) m) AS connection_ids,
	pick.connection_id AS picked,
	a.sync_id AS active_id, a.request_id AS active_request_id,
	a.idempotency_key AS active_key, a.phase AS active_phase,
	a.message AS active_message,
	CASE WHEN a.sync_id IS NOT NULL
	    THEN syncline.is_stale(a, make_interval(secs => $4::float8)) END
	    AS stale,
	k.sync_id AS known_id, k.request_hash AS known_hash
FROM pick
LEFT JOIN syncline.sync_active a ON a.user_id = $1
	AND a.connection_id = pick.connection_id AND a.status = 'running'
LEFT JOIN syncline.idempotency_keys k ON k.user_id = $1 AND k.key = $3
	AND k.created_at > clock_timestamp() - interval '24 hours'
