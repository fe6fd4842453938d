-- sync_removed_since: whether a later sync of the same connection removed
-- rows of a stream, so that counting cannot tell any more.
-- $1 user_id, $2 sync_id, $3 stream
-- => removed
SELECT EXISTS (
	SELECT FROM syncline.sync_all l
	WHERE l.user_id = $1
	AND l.started_at >= (SELECT min(s.started_at) FROM syncline.sync_all s
	    WHERE s.user_id = $1 AND s.sync_id = $2)
	AND l.connection_id = (SELECT min(s.connection_id) FROM syncline.sync_all s
	    WHERE s.user_id = $1 AND s.sync_id = $2)
	AND (l.streams -> $3 ->> 'removed')::bigint > 0)
	OR NOT EXISTS (SELECT FROM syncline.connections c,
	    syncline.sync_all s WHERE s.user_id = $1 AND s.sync_id = $2
	    AND c.user_id = $1 AND c.connection_id = s.connection_id
	    AND c.created_at <= s.started_at) AS removed
