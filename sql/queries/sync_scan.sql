-- sync_scan: waiting syncs in queue order, from a cursor on.  Two ranges of
-- the index: a condition with OR would read from the queue's head each time.
-- $1 priority of the cursor, $2 id of the cursor, $3 limit
-- => sync_id, priority
SELECT q.sync_id, q.priority FROM (
	(SELECT a.sync_id, a.priority FROM syncline.sync_active a
	WHERE a.priority = $1::smallint AND a.sync_id > $2
	AND a.runner_id IS NULL AND a.status = 'running'
	AND a.cause <> 'import'
	AND (a.not_before IS NULL OR a.not_before <= clock_timestamp())
	ORDER BY a.sync_id LIMIT $3::integer)
	UNION ALL
	(SELECT a.sync_id, a.priority FROM syncline.sync_active a
	WHERE a.priority < $1::smallint
	AND a.runner_id IS NULL AND a.status = 'running'
	AND a.cause <> 'import'
	AND (a.not_before IS NULL OR a.not_before <= clock_timestamp())
	ORDER BY a.priority DESC, a.sync_id LIMIT $3::integer)
) q
ORDER BY q.priority DESC, q.sync_id LIMIT $3::integer
