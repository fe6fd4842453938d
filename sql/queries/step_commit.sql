-- step_commit: the fence of a step and everything it changes in the sync's
-- own row.  The loader's statements left their counts in syncline.counts.
-- $1 sync_id, $2 runner_id, $3 epoch, $4 checkpoint, $5 notes per stream
-- merged into streams, $6 progress, $7 phase, $8 message,
-- $9 events: JSON array of {type, kind, message, data}
-- => seq, streams, progress
WITH u AS (
	UPDATE syncline.sync_active a SET checkpoint = $4::jsonb,
	    streams = syncline.streams_add(syncline.streams_add(a.streams,
	        current_setting('syncline.counts')::jsonb), $5::jsonb),
	    progress = greatest(a.progress, least($6::float8, 99.9)),
	    phase = $7, message = $8, step_at = clock_timestamp(),
	    crash_count = 0, not_before = NULL,
	    error_code = NULL, error_message = NULL
	WHERE a.sync_id = $1 AND a.runner_id = $2
	AND a.lease_epoch = $3::bigint AND a.status = 'running'
	RETURNING a.sync_id, a.user_id, a.seq, a.streams, a.progress
), told AS (
	INSERT INTO syncline.sync_events
	    (sync_id, seq, user_id, type, kind, message, data)
	SELECT u.sync_id, u.seq, u.user_id, e ->> 'type', e ->> 'kind',
	    e ->> 'message', e -> 'data'
	FROM u, jsonb_array_elements($9::jsonb) e
)
SELECT u.seq, u.streams, u.progress, CASE WHEN u.sync_id IS NULL THEN
	syncline.refuse('SL001', 'the sync is not ours any more') END AS fenced
FROM (SELECT 1) one LEFT JOIN u ON true
