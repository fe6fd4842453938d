-- sync_find: what cancel and retry need to know of one sync.
-- $1 user_id, $2 sync_id
-- => sync_id, connection_id, status, phase, message, mode, priority,
--    wanted, address (of the live runner that owns it, else NULL)
SELECT s.sync_id, s.connection_id, s.status, s.phase, s.message, s.mode,
	s.priority, s.wanted, r.address
FROM syncline.sync_all s
LEFT JOIN syncline.runners r ON s.status = 'running'
	AND r.runner_id = s.runner_id AND r.lease_until > clock_timestamp()
WHERE s.user_id = $1 AND s.sync_id = $2
