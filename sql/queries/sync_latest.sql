-- sync_latest: the most recently started active sync of a user, else the
-- most recent one.
-- $1 user_id
(SELECT * FROM syncline.sync_object
	WHERE user_id = $1 AND status = 'running'
	ORDER BY started_at DESC, sync_id DESC LIMIT 1)
UNION ALL
(SELECT * FROM syncline.sync_object
	WHERE user_id = $1 AND status <> 'running' AND NOT EXISTS (
	    SELECT FROM syncline.sync_active a
	    WHERE a.user_id = $1 AND a.status = 'running')
	ORDER BY started_at DESC, sync_id DESC LIMIT 1)
