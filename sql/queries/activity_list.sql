-- activity_list: a user's events, newest first.
-- $1 user_id, $2 limit
-- => at_text, type, kind, message, sync_id, total
SELECT syncline.rfc3339(e.at) AS at_text, e.type, e.kind, e.message,
	e.sync_id
FROM syncline.sync_events e WHERE e.user_id = $1
ORDER BY e.at DESC, e.sync_id DESC, e.seq DESC LIMIT $2::integer
