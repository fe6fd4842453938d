-- sync_note_rerun: one follow-up run, however often it is asked for.
-- $1 user_id, $2 sync_id
UPDATE syncline.sync_active SET rerun = true
WHERE user_id = $1 AND sync_id = $2 AND status = 'running' AND NOT rerun
