-- sync_event_add: one event outside a step.
-- $1 sync_id, $2 user_id, $3 type, $4 kind, $5 message, $6 data or NULL
INSERT INTO syncline.sync_events
	(sync_id, seq, user_id, type, kind, message, data)
SELECT a.sync_id, a.seq, a.user_id, $3, $4, $5, $6::jsonb
FROM syncline.sync_active a WHERE a.sync_id = $1 AND a.user_id = $2
