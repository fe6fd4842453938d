-- token_release: the fetch failed; another may try.
-- $1 user_id, $2 connection_id, $3 who
UPDATE syncline.connections SET refreshing_by = NULL, refreshing_until = NULL
WHERE user_id = $1 AND connection_id = $2 AND refreshing_by = $3
