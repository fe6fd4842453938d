-- sync_start: one new sync, unless the connection has an active one.
-- No row: see sync_start_why.  SL003: the user's start limit.  40001: another
-- request took the same key at the same moment.
-- $1 sync_id, $2 user_id, $3 connection_id or NULL for the user's only or
-- default one, $4 priority, $5 mode, $6 streams or NULL, $7 request_id,
-- $8 idempotency key or NULL, $9 hash of the request, $10 starts a minute
-- or 0, $11 max_attempts, $12 cause, $13 retry_of or NULL
-- => sync_id, connection_id, phase, message, started_text
WITH conn AS (
	SELECT c.connection_id, c.provider FROM syncline.connections c
	WHERE c.user_id = $2 AND c.status <> 'disconnected'
	AND c.connection_id = coalesce($3, (
		SELECT CASE WHEN count(*) = 1 THEN min(o.connection_id)
		    ELSE min(o.connection_id) FILTER (WHERE o.is_default) END
		FROM syncline.connections o
		WHERE o.user_id = $2 AND o.status <> 'disconnected'))
), ins AS (
	INSERT INTO syncline.sync_active (sync_id, user_id, connection_id,
	    provider, priority, mode, wanted, request_id, idempotency_key,
	    max_attempts, cause, retry_of)
	SELECT $1, $2, conn.connection_id, conn.provider, $4::smallint, $5,
	    $6::text[], $7, $8, $11::integer, $12, $13
	FROM conn
	WHERE $8::text IS NULL OR NOT EXISTS (
		SELECT FROM syncline.idempotency_keys k
		WHERE k.user_id = $2 AND k.key = $8
		AND k.created_at > clock_timestamp() - interval '24 hours')
	ON CONFLICT (user_id, connection_id) WHERE status = 'running'
	    DO NOTHING
	RETURNING sync_id, connection_id, phase, message, started_at
), kept AS (
	INSERT INTO syncline.idempotency_keys AS k
	    (user_id, key, sync_id, request_hash)
	SELECT $2, $8, ins.sync_id, $9 FROM ins WHERE $8::text IS NOT NULL
	ON CONFLICT (user_id, key) DO UPDATE SET sync_id = excluded.sync_id,
	    request_hash = excluded.request_hash,
	    created_at = excluded.created_at
	WHERE k.created_at <= clock_timestamp() - interval '24 hours'
	RETURNING k.key
), paced AS (
	INSERT INTO syncline.user_stats AS s
	    (user_id, window_start, window_count)
	SELECT $2, clock_timestamp(), 1 FROM ins WHERE $10::integer > 0
	ON CONFLICT (user_id) DO UPDATE SET
	    window_start = CASE WHEN s.window_start >
	        clock_timestamp() - interval '1 minute' THEN s.window_start
	        ELSE excluded.window_start END,
	    window_count = CASE WHEN s.window_start >
	        clock_timestamp() - interval '1 minute'
	        THEN s.window_count + 1 ELSE 1 END
	RETURNING window_count, ceil(60 - extract(epoch FROM
	    clock_timestamp() - window_start))::integer AS wait
)
SELECT ins.sync_id, ins.connection_id, ins.phase, ins.message,
	syncline.rfc3339(ins.started_at) AS started_text,
	CASE WHEN p.window_count > $10::integer
	    THEN syncline.refuse('SL003', greatest(p.wait, 1)::text) END AS refused,
	CASE WHEN $8::text IS NOT NULL AND kept.key IS NULL
	    THEN syncline.refuse('40001', 'the key was taken meanwhile')
	    END AS raced
FROM ins LEFT JOIN paced p ON true LEFT JOIN kept ON true
