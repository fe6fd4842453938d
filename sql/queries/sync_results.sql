-- sync_results: a sync's counts as told, and counted anew from the tables.
-- $1 user_id, $2 sync_id
-- => sync_id, status, connection_id, streams, orders, order_items,
--    inventory, transactions, claims
SELECT s.sync_id, s.status, s.connection_id, s.streams,
	(SELECT count(*) FROM syncline.orders t WHERE t.user_id = $1
	    AND t.connection_id = s.connection_id
	    AND t.first_sync_id = $2) AS orders,
	(SELECT count(*) FROM syncline.order_items t WHERE t.user_id = $1
	    AND t.connection_id = s.connection_id
	    AND t.first_sync_id = $2) AS order_items,
	(SELECT count(*) FROM syncline.inventory t WHERE t.user_id = $1
	    AND t.connection_id = s.connection_id
	    AND t.first_sync_id = $2) AS inventory,
	(SELECT count(*) FROM syncline.transactions t WHERE t.user_id = $1
	    AND t.connection_id = s.connection_id
	    AND t.first_sync_id = $2) AS transactions,
	(SELECT count(*) FROM syncline.claims t WHERE t.user_id = $1
	    AND t.first_sync_id = $2) AS claims
FROM syncline.sync_all s WHERE s.user_id = $1 AND s.sync_id = $2
