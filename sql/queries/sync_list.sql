-- sync_list: a page of a user's syncs, newest first.
-- $1 user_id, $2 status or NULL, $3 from or NULL, $4 to or NULL,
-- $5 connection_id or NULL, $6 limit, $7 offset
SELECT * FROM syncline.sync_object
WHERE user_id = $1
AND ($2::text IS NULL OR status = $2)
AND ($3::timestamptz IS NULL OR started_at >= $3::timestamptz)
AND ($4::timestamptz IS NULL OR started_at < $4::timestamptz)
AND ($5::text IS NULL OR connection_id = $5)
ORDER BY started_at DESC, sync_id DESC
LIMIT $6::integer OFFSET $7::bigint
