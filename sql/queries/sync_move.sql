-- sync_move: new phases, waits and hand-backs of syncs we own, as a batch.
-- Entries whose fence or edge does not match are missing from the answer.
-- $1 runner_id, $2 ids, $3 epochs, $4 phases, $5 delays in ms or NULL,
-- $6 release, $7 attempts, $8 messages, $9 error codes, $10 error messages
-- => sync_id, seq
WITH e AS (
	SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[],
	    $5::bigint[], $6::boolean[], $7::integer[], $8::text[],
	    $9::text[], $10::text[]) AS e(sync_id, epoch, phase, delay_ms,
	    release, attempt, message, error_code, error_message)
), mine AS (
	SELECT a.sync_id FROM syncline.sync_active a JOIN e USING (sync_id)
	WHERE a.runner_id = $1 AND a.lease_epoch = e.epoch
	AND a.status = 'running' AND syncline.phase_edge(a.phase, e.phase)
	ORDER BY a.sync_id FOR UPDATE OF a
)
UPDATE syncline.sync_active a SET phase = e.phase,
	not_before = clock_timestamp()
	    + make_interval(secs => e.delay_ms::float8 / 1000),
	runner_id = CASE WHEN e.release THEN NULL ELSE a.runner_id END,
	attempt = greatest(e.attempt, a.attempt), message = e.message,
	error_code = e.error_code, error_message = e.error_message
FROM e, mine WHERE a.sync_id = e.sync_id AND mine.sync_id = a.sync_id
RETURNING a.sync_id, a.seq
