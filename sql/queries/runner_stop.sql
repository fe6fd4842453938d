-- runner_stop: the lease is given back.
-- $1 runner_id
UPDATE syncline.runners SET lease_until = clock_timestamp(), stopping = true
WHERE runner_id = $1
