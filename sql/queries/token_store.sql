-- token_store: the new tokens, before their first use.
-- $1 user_id, $2 connection_id, $3 who, $4 sealed access token,
-- $5 its life in ms, $6 sealed new refresh token or NULL
-- => connection_id
UPDATE syncline.connections SET access_token = $4::bytea,
	access_expires_at = clock_timestamp()
	    + make_interval(secs => $5::float8 / 1000),
	refresh_token = coalesce($6::bytea, refresh_token),
	refreshing_by = NULL, refreshing_until = NULL
WHERE user_id = $1 AND connection_id = $2 AND refreshing_by = $3
RETURNING connection_id
