-- runner_dead: runners whose lease is over and whose syncs still name them.
-- => runner_id
SELECT r.runner_id FROM syncline.runners r
WHERE r.lease_until <= clock_timestamp()
AND EXISTS (SELECT FROM syncline.sync_active a
	WHERE a.runner_id = r.runner_id AND a.status = 'running')
