-- sync_cancel_connection: the first half of a forced start.
-- $1 user_id, $2 connection_id or NULL for the user's only or default one
-- => sync_id, connection_id, runner_id
UPDATE syncline.sync_active a SET status = 'cancelled',
	message = 'Sync cancelled by user'
WHERE a.user_id = $1 AND a.status = 'running'
AND a.connection_id = coalesce($2, (
	SELECT CASE WHEN count(*) = 1 THEN min(o.connection_id)
	    ELSE min(o.connection_id) FILTER (WHERE o.is_default) END
	FROM syncline.connections o
	WHERE o.user_id = $1 AND o.status <> 'disconnected'))
RETURNING a.sync_id, a.connection_id, a.runner_id
