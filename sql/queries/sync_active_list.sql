-- sync_active_list: the ids of a user's active syncs, newest first.
-- $1 user_id
-- => sync_id
SELECT a.sync_id FROM syncline.sync_active a
WHERE a.user_id = $1 AND a.status = 'running'
ORDER BY a.started_at DESC, a.sync_id DESC LIMIT 1000
