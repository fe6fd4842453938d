-- sync_retry_now: a sync that waits for its retry goes on at once.
-- $1 user_id, $2 sync_id
-- => sync_id
UPDATE syncline.sync_active SET not_before = NULL, phase = 'queued',
	message = 'Sync queued'
WHERE user_id = $1 AND sync_id = $2 AND status = 'running'
AND phase = 'retry_wait' AND runner_id IS NULL
RETURNING sync_id
