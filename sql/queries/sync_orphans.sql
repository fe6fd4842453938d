-- sync_orphans: syncs whose owner's lease is over.
-- $1 limit
-- => sync_id
SELECT a.sync_id FROM syncline.sync_active a
JOIN syncline.runners r ON r.runner_id = a.runner_id
WHERE a.status = 'running' AND r.lease_until <= clock_timestamp()
ORDER BY a.priority DESC, a.sync_id LIMIT $1::integer
