-- purge_inventory: remove the records of a connection.
-- $1 user_id, $2 connection_id
DELETE FROM syncline.inventory WHERE user_id = $1 AND connection_id = $2
