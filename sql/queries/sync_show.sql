-- sync_show: one sync of a user, whole.
-- $1 user_id, $2 sync_id
SELECT * FROM syncline.sync_object WHERE user_id = $1 AND sync_id = $2
