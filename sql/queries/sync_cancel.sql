-- sync_cancel: end one active sync of a user, whoever holds it; the owner's
-- late step is fenced off because the row is gone.
-- $1 user_id, $2 sync_id
-- => sync_id, connection_id, message
UPDATE syncline.sync_active a SET status = 'cancelled',
	message = 'Sync cancelled by user'
WHERE a.user_id = $1 AND a.sync_id = $2 AND a.status = 'running'
RETURNING a.sync_id, a.connection_id, a.message
