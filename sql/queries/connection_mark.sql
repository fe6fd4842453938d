-- connection_mark: what a source learned of a connection.
-- $1 user_id, $2 connection_id, $3 status, $4 marketplaces or NULL
UPDATE syncline.connections SET status = $3,
	marketplaces = coalesce($4::text[], marketplaces),
	updated_at = clock_timestamp()
WHERE user_id = $1 AND connection_id = $2
