-- seen_clear: what a sync that ended had met.
-- $1 sync_id
DELETE FROM syncline.sync_seen WHERE sync_id = $1
