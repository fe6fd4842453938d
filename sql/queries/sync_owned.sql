-- sync_owned: what the database says a runner holds, after a doubt.
-- $1 runner_id, $2 sync ids or NULL for all
-- => as sync_claim
SELECT a.*, floor(extract(epoch FROM a.started_at) * 1000)::bigint
	AS started_ms, to_json(a.wanted) AS wanted_json
FROM syncline.sync_active a
WHERE a.runner_id = $1 AND a.status = 'running'
AND ($2::text[] IS NULL OR a.sync_id = ANY ($2::text[]))
