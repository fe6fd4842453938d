-- activity_total: how many events a user has.
-- $1 user_id
-- => total
SELECT count(*) AS total FROM syncline.sync_events WHERE user_id = $1
