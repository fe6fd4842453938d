-- seen_sweep: the same for syncs that ended without saying so.
DELETE FROM syncline.sync_seen s
WHERE NOT EXISTS (SELECT FROM syncline.sync_active a
	WHERE a.sync_id = s.sync_id)
