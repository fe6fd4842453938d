-- stream_state_load: the cursors of a connection.
-- $1 user_id, $2 connection_id
-- => stream, cursor
SELECT stream, cursor FROM syncline.stream_state
WHERE user_id = $1 AND connection_id = $2
