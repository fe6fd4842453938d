-- sync_suspect: before a suspect steps alone.  A crash now is its own, so the
-- count stays raised unless a step commits; its neighbours keep theirs.
-- $1 sync_id, $2 runner_id, $3 epoch
-- => crash_count
UPDATE syncline.sync_active SET crash_count = crash_count + 1
WHERE sync_id = $1 AND runner_id = $2 AND lease_epoch = $3::bigint
AND status = 'running'
RETURNING crash_count
