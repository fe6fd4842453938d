-- connection_delete: forget a connection and its secrets, unless a sync of it
-- is active.
-- $1 user_id, $2 connection_id
-- => connection_id
DELETE FROM syncline.connections c
WHERE c.user_id = $1 AND c.connection_id = $2
AND NOT EXISTS (SELECT FROM syncline.sync_active a
	WHERE a.user_id = $1 AND a.connection_id = $2
	AND a.status = 'running')
RETURNING c.connection_id
