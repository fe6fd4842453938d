-- connection_put: make or replace a connection; a NULL secret keeps the one
-- that is there.  A new secret makes it connected again and forgets the old
-- access token.  The first connection of a user is the default one.
-- $1 user_id, $2 connection_id, $3 provider, $4 label, $5 is_default or NULL,
-- $6 account_id or NULL, $7 region, $8 marketplaces, $9 settings (JSON),
-- $10 sealed refresh token (bytea hex) or NULL
-- => created
WITH others AS (
	UPDATE syncline.connections SET is_default = false
	WHERE user_id = $1 AND connection_id <> $2 AND is_default
	AND $5::boolean IS TRUE
)
INSERT INTO syncline.connections AS c (user_id, connection_id, provider,
	label, is_default, account_id, region, marketplaces, settings,
	refresh_token)
VALUES ($1, $2, $3, $4, coalesce($5::boolean, NOT EXISTS (
	    SELECT FROM syncline.connections o WHERE o.user_id = $1)),
	$6, $7, $8::text[], $9::jsonb, $10::bytea)
ON CONFLICT (user_id, connection_id) DO UPDATE SET
	provider = excluded.provider, label = excluded.label,
	is_default = coalesce($5::boolean, c.is_default),
	account_id = coalesce(excluded.account_id, c.account_id),
	region = excluded.region, marketplaces = excluded.marketplaces,
	settings = excluded.settings,
	refresh_token = coalesce(excluded.refresh_token, c.refresh_token),
	status = CASE WHEN excluded.refresh_token IS NOT NULL
	    THEN 'connected' ELSE c.status END,
	access_token = CASE WHEN excluded.refresh_token IS NULL
	    THEN c.access_token END,
	access_expires_at = CASE WHEN excluded.refresh_token IS NULL
	    THEN c.access_expires_at END,
	refreshing_by = NULL, refreshing_until = NULL,
	updated_at = clock_timestamp()
RETURNING xmax = 0 AS created
