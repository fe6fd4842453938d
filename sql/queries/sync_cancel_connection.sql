-- sync_cancel_connection: the first half of a forced start.
-- What the same request made before is not in its own way.
-- $1 user_id, $2 connection_id or NULL for the user's only or default one,
-- $3 request_id
-- => sync_id, connection_id, address (of the live runner that owned it, else
--    NULL)
UPDATE syncline.sync_active a SET status = 'cancelled',
	message = 'Sync cancelled by user'
WHERE a.user_id = $1 AND a.status = 'running'
AND a.request_id IS DISTINCT FROM $3
AND a.connection_id = coalesce($2, (
	SELECT CASE WHEN count(*) = 1 THEN min(o.connection_id)
	    ELSE min(o.connection_id) FILTER (WHERE o.is_default) END
	FROM syncline.connections o
	WHERE o.user_id = $1 AND o.status <> 'disconnected'))
RETURNING a.sync_id, a.connection_id, (
	SELECT r.address FROM syncline.runners r WHERE r.runner_id = a.runner_id
	AND r.lease_until > clock_timestamp()) AS address
