-- runner_renew: the lease, by PostgreSQL's clock.  A lease that is over is
-- not taken up again: the syncs may be another's by now.
-- $1 runner_id, $2 lease ms
-- => runner_id
UPDATE syncline.runners
SET lease_until = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
WHERE runner_id = $1 AND lease_until > clock_timestamp()
RETURNING runner_id
