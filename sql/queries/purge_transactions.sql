-- purge_transactions: remove records of a connection, so many at a time.
-- $1 user_id, $2 connection_id, $3 at most
-- => removed
WITH gone AS (
	DELETE FROM syncline.transactions WHERE ctid = ANY (ARRAY(
		SELECT ctid FROM syncline.transactions
		WHERE user_id = $1 AND connection_id = $2
		LIMIT $3::integer))
	AND user_id = $1 AND connection_id = $2
	RETURNING 1
)
SELECT count(*) AS removed FROM gone
