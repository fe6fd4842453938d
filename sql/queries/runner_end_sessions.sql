-- runner_end_sessions: end the database sessions of a dead runner: a client
-- stopped inside COPY is ended by no timeout.
-- $1 runner_id
-- => ended
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended
FROM pg_stat_activity
WHERE application_name = $1 AND pid <> pg_backend_pid()
AND usename = current_user
