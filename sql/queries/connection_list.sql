-- connection_list: a user's connections; secrets stay where they are.
-- $1 user_id, $2 connection_id or NULL for all
-- => connection_id, provider, label, is_default, status, account_id, region,
--    marketplaces (JSON), settings, created_text, updated_text
SELECT connection_id, provider, label, is_default, status, account_id, region,
	to_json(marketplaces) AS marketplaces, settings,
	syncline.rfc3339(created_at) AS created_text,
	syncline.rfc3339(updated_at) AS updated_text
FROM syncline.connections
WHERE user_id = $1 AND ($2::text IS NULL OR connection_id = $2)
ORDER BY connection_id LIMIT 1000
