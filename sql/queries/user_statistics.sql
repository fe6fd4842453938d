-- user_statistics: a user's totals; percentiles over the last 1,000
-- completed syncs that history still holds.
-- $1 user_id
-- => completed, failed, cancelled, running, orders, claims, average, p50, p95
SELECT coalesce(u.completed, 0) AS completed, coalesce(u.failed, 0) AS failed,
	coalesce(u.cancelled, 0) AS cancelled, a.running,
	coalesce(u.orders_processed, 0) + a.orders AS orders,
	coalesce(u.claims_detected, 0) + a.claims AS claims,
	u.completed_seconds / nullif(u.completed, 0) AS average, d.p50, d.p95
FROM (SELECT count(*) AS running,
	coalesce(sum(syncline.distinct_of(streams, 'orders')), 0) AS orders,
	coalesce(sum(claims_detected), 0) AS claims
	FROM syncline.sync_active WHERE user_id = $1 AND status = 'running') a
CROSS JOIN (SELECT
	percentile_cont(0.5) WITHIN GROUP (ORDER BY secs) AS p50,
	percentile_cont(0.95) WITHIN GROUP (ORDER BY secs) AS p95
	FROM (SELECT extract(epoch FROM completed_at - started_at)
	    ::double precision AS secs
	    FROM syncline.sync_history
	    WHERE user_id = $1 AND status = 'completed'
	    ORDER BY started_at DESC, sync_id DESC LIMIT 1000) h) d
LEFT JOIN syncline.user_stats u ON u.user_id = $1
