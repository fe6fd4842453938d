-- connection_forget_cursors: a later connection of this name begins anew.
-- Leaves the cursors of a connection that is still there alone.
-- $1 user_id, $2 connection_id
DELETE FROM syncline.stream_state
WHERE user_id = $1 AND connection_id = $2
AND NOT EXISTS (SELECT FROM syncline.connections c
	WHERE c.user_id = $1 AND c.connection_id = $2)
