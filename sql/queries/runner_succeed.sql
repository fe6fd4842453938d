-- runner_succeed: whoever holds the lock of this name ends the leases of
-- those who held it before.
-- $1 runner_id (the new one), $2 name, $3 host
-- => runner_id
UPDATE syncline.runners SET lease_until = clock_timestamp()
WHERE name = $2 AND host = $3 AND runner_id <> $1
AND lease_until > clock_timestamp()
RETURNING runner_id
