-- health_check: whether PostgreSQL answers, and which runners live.
-- => name, up
SELECT r.name, max(r.lease_until) > clock_timestamp() AS up
FROM syncline.runners r
WHERE r.lease_until > clock_timestamp() - interval '1 day'
AND NOT r.stopping
GROUP BY r.name ORDER BY r.name
