-- connection_delete: forget a connection and its secrets.
-- $1 user_id, $2 connection_id
-- => connection_id
DELETE FROM syncline.connections WHERE user_id = $1 AND connection_id = $2
RETURNING connection_id
