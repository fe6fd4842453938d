-- connection_load: what a source needs of a connection.
-- $1 user_id, $2 connection_id
-- => provider, status, account_id, region, marketplaces (JSON), settings,
--    refresh_token, access_token, access_ms (left to live, by our clock)
SELECT provider, status, account_id, region,
	to_json(marketplaces) AS marketplaces, settings, refresh_token,
	access_token, floor(extract(epoch FROM access_expires_at
	    - clock_timestamp()) * 1000)::bigint AS access_ms
FROM syncline.connections WHERE user_id = $1 AND connection_id = $2
