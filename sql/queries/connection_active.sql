-- connection_active: the active sync of a connection, if there is one.
-- $1 user_id, $2 connection_id
-- => sync_id
SELECT a.sync_id FROM syncline.sync_active a
WHERE a.user_id = $1 AND a.connection_id = $2 AND a.status = 'running'
