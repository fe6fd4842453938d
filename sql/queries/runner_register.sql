-- runner_register: a new runner process and its first lease.
-- $1 runner_id, $2 name, $3 host, $4 address, $5 version, $6 pid, $7 lease ms
INSERT INTO syncline.runners (runner_id, name, host, address, version, pid,
	lease_until)
VALUES ($1, $2, $3, $4, $5, $6::integer,
	clock_timestamp() + make_interval(secs => $7::float8 / 1000))
