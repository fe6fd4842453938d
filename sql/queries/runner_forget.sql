-- runner_forget: runners long dead, with nothing left to their name.
DELETE FROM syncline.runners r
WHERE r.lease_until < clock_timestamp() - interval '7 days'
AND NOT EXISTS (SELECT FROM syncline.sync_active a
	WHERE a.runner_id = r.runner_id)
