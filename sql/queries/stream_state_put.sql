-- stream_state_put: a stream's cursor, in the step that earned it.
-- $1 user_id, $2 connection_id, $3 stream, $4 cursor, $5 sync_id
INSERT INTO syncline.stream_state (user_id, connection_id, stream, cursor,
	sync_id)
VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (user_id, connection_id, stream) DO UPDATE SET
	cursor = excluded.cursor, sync_id = excluded.sync_id,
	updated_at = clock_timestamp()
