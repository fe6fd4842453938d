-- connection_forget_cursors: a later connection of this name begins anew.
-- $1 user_id, $2 connection_id
DELETE FROM syncline.stream_state WHERE user_id = $1 AND connection_id = $2
