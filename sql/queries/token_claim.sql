-- token_claim: the right to fetch a new access token, one at a time for a
-- connection.  No row: another has it; look again in a moment.
-- $1 user_id, $2 connection_id, $3 who, $4 for how long, ms
-- => refresh_token
UPDATE syncline.connections SET refreshing_by = $3, refreshing_until =
	clock_timestamp() + make_interval(secs => $4::float8 / 1000)
WHERE user_id = $1 AND connection_id = $2
AND (refreshing_by IS NULL OR refreshing_by = $3
	OR refreshing_until < clock_timestamp())
RETURNING refresh_token
