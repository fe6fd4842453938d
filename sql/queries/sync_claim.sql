-- sync_claim: the only way to obtain a sync.  Ids missing from the answer
-- are not ours.  One whose owner did not hand it back is a suspect from now
-- on (crash_count 1); only sync_suspect counts further.
-- $1 runner_id, $2 sync ids
-- => the whole row, started_ms (Unix time), wanted_json
WITH due AS (
	SELECT a.sync_id FROM syncline.sync_active a
	WHERE a.sync_id = ANY ($2::text[]) AND a.status = 'running'
	AND a.cause <> 'import'
	AND (a.not_before IS NULL OR a.not_before <= clock_timestamp()
	    OR a.runner_id IS NOT NULL)
	AND (a.runner_id IS NULL OR NOT EXISTS (
	    SELECT FROM syncline.runners r WHERE r.runner_id = a.runner_id
	    AND r.lease_until > clock_timestamp()))
	AND EXISTS (SELECT FROM syncline.runners me WHERE me.runner_id = $1
	    AND me.lease_until > clock_timestamp())
	ORDER BY a.sync_id FOR UPDATE SKIP LOCKED
)
UPDATE syncline.sync_active a SET runner_id = $1,
	lease_epoch = a.lease_epoch + 1,
	crash_count = CASE WHEN a.runner_id IS NULL THEN a.crash_count
	    ELSE greatest(a.crash_count, 1) END,
	phase = CASE WHEN a.phase IN ('queued', 'rate_limited', 'retry_wait')
	    THEN 'fetching' ELSE a.phase END,
	message = CASE WHEN a.phase IN ('queued', 'rate_limited', 'retry_wait')
	    THEN 'Syncing' ELSE a.message END,
	not_before = NULL
FROM due WHERE a.sync_id = due.sync_id
RETURNING a.*, floor(extract(epoch FROM a.started_at) * 1000)::bigint
	AS started_ms, to_json(a.wanted) AS wanted_json
