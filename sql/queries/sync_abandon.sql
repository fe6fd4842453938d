-- sync_abandon: end stale syncs of a user as failed.
-- $1 user_id, $2 connection_id or NULL for all, $3 stale after, seconds
-- => sync_id
UPDATE syncline.sync_active a SET status = 'failed',
	error_code = 'abandoned', error_retryable = true,
	error_message = 'Nobody was working on this sync any more.',
	message = 'Sync abandoned: nobody was working on it any more'
WHERE a.user_id = $1 AND a.status = 'running'
AND ($2::text IS NULL OR a.connection_id = $2)
AND syncline.is_stale(a, make_interval(secs => $3::float8))
RETURNING a.sync_id
