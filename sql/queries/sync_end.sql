-- sync_end: end syncs we own, as a batch; run fence_name before it in the
-- same transaction.
-- $1 runner_id, $2 ids, $3 epochs, $4 statuses, $5 messages, $6 error codes,
-- $7 error messages, $8 whether a retry may help
-- => sync_id, status, seq, message
WITH e AS (
	SELECT * FROM unnest($2::text[], $3::bigint[], $4::text[],
	    $5::text[], $6::text[], $7::text[], $8::boolean[])
	    AS e(sync_id, epoch, status, message, error_code, error_message,
	    retryable)
), mine AS (
	SELECT a.sync_id FROM syncline.sync_active a JOIN e USING (sync_id)
	WHERE a.runner_id = $1 AND a.lease_epoch = e.epoch
	AND a.status = 'running'
	ORDER BY a.sync_id FOR UPDATE OF a
)
UPDATE syncline.sync_active a SET status = e.status, message = e.message,
	error_code = e.error_code, error_message = e.error_message,
	error_retryable = e.retryable
FROM e, mine WHERE a.sync_id = e.sync_id AND mine.sync_id = a.sync_id
RETURNING a.sync_id, a.status, a.seq, a.message
