-- quarantine_add: rejected records of a step.
-- $1 user_id, $2 connection_id, $3 sync_id, $4 streams, $5 reasons, $6 raws
INSERT INTO syncline.quarantine (user_id, connection_id, sync_id, stream,
	reason, raw)
SELECT $1, $2, $3, q.stream, q.reason, q.raw
FROM unnest($4::text[], $5::text[], $6::text[]) AS q(stream, reason, raw)
