-- sync_scan: waiting syncs in queue order, from a cursor on.
-- $1 priority of the cursor, $2 id of the cursor, $3 limit
-- => sync_id, priority
SELECT a.sync_id, a.priority FROM syncline.sync_active a
WHERE (a.priority < $1::smallint
	OR (a.priority = $1::smallint AND a.sync_id > $2))
AND a.runner_id IS NULL AND a.status = 'running' AND a.cause <> 'import'
AND (a.not_before IS NULL OR a.not_before <= clock_timestamp())
ORDER BY a.priority DESC, a.sync_id LIMIT $3::integer
