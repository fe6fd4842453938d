-- import.sql: an older system's sync_progress and claims rows, brought over.
--
-- psql -v from=SCHEMA -f import.sql.  Reads whatever columns the old tables
-- have (as JSON, so a missing one is a NULL), understands the old words, and
-- may be run again: what is here already stays as it is.  A row that the old
-- system left running comes over unowned, hence stale: it blocks nobody.
\set ON_ERROR_STOP 1
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('syncline.import')) AS locked \gset

CREATE FUNCTION pg_temp.rows_of(schema_name text, table_name text)
RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF to_regclass(format('%I.%I', schema_name, table_name)) IS NOT NULL
	THEN
		RETURN QUERY EXECUTE format('SELECT to_jsonb(t) FROM %I.%I t',
		    schema_name, table_name);
	END IF;
END $$;

-- Values of unknown quality: NULL where they are not what they should be.
CREATE FUNCTION pg_temp.as_time(v text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
	RETURN v::timestamptz;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.as_number(v text) RETURNS numeric
LANGUAGE sql AS $$
	SELECT CASE WHEN v ~ '^\s*-?[0-9]{1,18}(\.[0-9]{1,18})?\s*$'
	    THEN v::numeric END
$$;

CREATE TEMPORARY TABLE old_syncs ON COMMIT DROP AS
SELECT *, row_number() OVER (PARTITION BY user_id, status
	ORDER BY started_at DESC, sync_id DESC) AS nth
FROM (
	SELECT DISTINCT ON (sync_id) sync_id, user_id,
	    coalesce((SELECT CASE WHEN count(*) = 1 THEN min(c.connection_id)
	        ELSE min(c.connection_id) FILTER (WHERE c.is_default) END
	        FROM syncline.connections c WHERE c.user_id = o.user_id),
	        'default') AS connection_id,
	    CASE WHEN word IN ('running', 'completed', 'failed', 'cancelled')
	        THEN word
	        WHEN word IN ('pending', 'queued', 'started', 'processing')
	        THEN 'running' ELSE 'failed' END AS status,
	    started_at, greatest(ended_at, started_at) AS ended_at,
	    least(greatest(coalesce(progress, 0), 0), 99) AS progress, message,
	    error, claims,
	    (SELECT coalesce(jsonb_object_agg(k.stream, jsonb_build_object(
	            'ord', k.ord, 'processed', trunc(k.n))), '{}')
	        FROM (VALUES ('orders', 0, orders),
	            ('inventory', 1, inventory)) AS k(stream, ord, n)
	        WHERE k.n IS NOT NULL) AS streams
	FROM (
		SELECT coalesce(j ->> 'sync_id', j ->> 'id') AS sync_id,
		    j ->> 'user_id' AS user_id,
		    syncline.canonical_status(coalesce(j ->> 'status', ''))
		        AS word,
		    coalesce(pg_temp.as_time(m ->> 'startedAt'),
		        pg_temp.as_time(j ->> 'started_at'),
		        pg_temp.as_time(j ->> 'created_at'),
		        pg_temp.as_time(j ->> 'updated_at'),
		        clock_timestamp()) AS started_at,
		    coalesce(pg_temp.as_time(m ->> 'completedAt'),
		        pg_temp.as_time(j ->> 'completed_at'),
		        pg_temp.as_time(j ->> 'updated_at'),
		        clock_timestamp()) AS ended_at,
		    coalesce(pg_temp.as_number(j ->> 'progress'),
		        pg_temp.as_number(m ->> 'progress'),
		        100 * pg_temp.as_number(j ->> 'current_step') /
		        nullif(pg_temp.as_number(j ->> 'total_steps'), 0))
		        AS progress,
		    coalesce(j ->> 'message', m ->> 'message') AS message,
		    coalesce(j ->> 'error', j ->> 'error_message',
		        m ->> 'error') AS error,
		    coalesce(pg_temp.as_number(m ->> 'ordersProcessed'),
		        pg_temp.as_number(j ->> 'orders_processed')) AS orders,
		    pg_temp.as_number(m ->> 'inventoryCount') AS inventory,
		    coalesce(pg_temp.as_number(m ->> 'claimsDetected'),
		        pg_temp.as_number(j ->> 'claims_detected')) AS claims
		FROM (SELECT j, CASE jsonb_typeof(j -> 'metadata')
		        WHEN 'object' THEN j -> 'metadata' ELSE '{}' END AS m
		    FROM pg_temp.rows_of(:'from', 'sync_progress') j) raw
	) o
	WHERE length(sync_id) BETWEEN 1 AND 128
	AND length(user_id) BETWEEN 1 AND 128
	ORDER BY sync_id, started_at DESC
) n;

-- What came over running and has ended there since, ends here too.
UPDATE syncline.sync_active a SET status = o.status,
	completed_at = o.ended_at, message = coalesce(o.message, a.message),
	error_message = o.error
FROM old_syncs o
WHERE a.sync_id = o.sync_id AND a.cause = 'import' AND o.status <> 'running';

-- The newest running one of a user comes over as such, if nothing runs.
INSERT INTO syncline.sync_active (sync_id, user_id, connection_id, provider,
	cause, started_at, message)
SELECT o.sync_id, o.user_id, o.connection_id, 'spapi', 'import',
	o.started_at, coalesce(o.message, 'Imported while it was running')
FROM old_syncs o
WHERE o.status = 'running' AND o.nth = 1
AND NOT EXISTS (SELECT FROM syncline.sync_all s WHERE s.sync_id = o.sync_id)
ON CONFLICT (user_id, connection_id) WHERE status = 'running' DO NOTHING;

CREATE TEMPORARY TABLE ended_now ON COMMIT DROP AS
SELECT o.*, CASE WHEN o.status = 'running' THEN 'failed' ELSE o.status END
	AS final
FROM old_syncs o
WHERE NOT EXISTS (SELECT FROM syncline.sync_all s WHERE s.sync_id = o.sync_id);

INSERT INTO syncline.sync_history (sync_id, user_id, connection_id, provider,
	cause, status, phase, started_at, completed_at, progress, message,
	error_code, error_message, error_retryable, streams, claims_detected,
	seq)
SELECT sync_id, user_id, connection_id, 'spapi', 'import', final, 'finalizing',
	started_at, ended_at,
	CASE WHEN final = 'completed' THEN 100 ELSE progress END,
	coalesce(message, 'Imported'),
	CASE WHEN status = 'running' THEN 'abandoned'
	    WHEN final = 'failed' THEN 'imported' END,
	CASE WHEN status = 'running' THEN 'Nobody was working on this sync.'
	    WHEN final = 'failed' THEN coalesce(error, 'Unknown') END,
	CASE WHEN final = 'failed' THEN true END, streams, claims, 2
FROM ended_now;

INSERT INTO syncline.sync_events (sync_id, seq, user_id, at, type, kind,
	message)
SELECT sync_id, 1, user_id, started_at, 'info', 'started', 'Sync started'
FROM ended_now
UNION ALL
SELECT sync_id, 2, user_id, ended_at, CASE final WHEN 'completed'
	THEN 'success' WHEN 'failed' THEN 'warning' ELSE 'info' END, final,
	coalesce(message, 'Imported')
FROM ended_now;

INSERT INTO syncline.user_stats AS s (user_id, completed, failed, cancelled,
	kept_completed, kept_failed, kept_cancelled, orders_processed,
	claims_detected, completed_seconds)
SELECT user_id, done, bad, gone, done, bad, gone, orders, claims, secs
FROM (SELECT user_id, count(*) FILTER (WHERE final = 'completed') AS done,
	count(*) FILTER (WHERE final = 'failed') AS bad,
	count(*) FILTER (WHERE final = 'cancelled') AS gone,
	coalesce(sum(syncline.distinct_of(streams, 'orders')), 0) AS orders,
	coalesce(sum(claims), 0) AS claims,
	coalesce(sum(extract(epoch FROM ended_at - started_at))
	    FILTER (WHERE final = 'completed'), 0) AS secs
	FROM ended_now GROUP BY user_id) e
ON CONFLICT (user_id) DO UPDATE SET
	completed = s.completed + excluded.completed,
	failed = s.failed + excluded.failed,
	cancelled = s.cancelled + excluded.cancelled,
	kept_completed = s.kept_completed + excluded.kept_completed,
	kept_failed = s.kept_failed + excluded.kept_failed,
	kept_cancelled = s.kept_cancelled + excluded.kept_cancelled,
	orders_processed = s.orders_processed + excluded.orders_processed,
	claims_detected = s.claims_detected + excluded.claims_detected,
	completed_seconds = s.completed_seconds + excluded.completed_seconds;

INSERT INTO syncline.claims (user_id, claim_id, connection_id, type, severity,
	status, estimated_value, currency, confidence, evidence,
	discovered_at, deadline_at, first_sync_id)
SELECT j ->> 'user_id', coalesce(j ->> 'claim_id', j ->> 'id'),
	coalesce((SELECT CASE WHEN count(*) = 1 THEN min(c.connection_id)
	    ELSE min(c.connection_id) FILTER (WHERE c.is_default) END
	    FROM syncline.connections c WHERE c.user_id = j ->> 'user_id'),
	    'default'),
	coalesce(j ->> 'claim_type', j ->> 'anomaly_type', j ->> 'type',
	    'unknown'),
	CASE WHEN lower(j ->> 'severity') IN ('low', 'medium', 'high',
	    'critical') THEN lower(j ->> 'severity') ELSE 'medium' END,
	CASE lower(coalesce(j ->> 'status', 'open'))
	    WHEN 'filed' THEN 'filed' WHEN 'submitted' THEN 'filed'
	    WHEN 'paid' THEN 'paid' WHEN 'approved' THEN 'paid'
	    WHEN 'denied' THEN 'denied' WHEN 'rejected' THEN 'denied'
	    WHEN 'dismissed' THEN 'dismissed'
	    WHEN 'resolved' THEN 'resolved' ELSE 'open' END,
	coalesce(pg_temp.as_number(j ->> 'estimated_value'),
	    pg_temp.as_number(j ->> 'claim_amount'),
	    pg_temp.as_number(j ->> 'amount'), 0),
	coalesce(j ->> 'currency', 'USD'),
	CASE WHEN pg_temp.as_number(coalesce(j ->> 'confidence_score',
	    j ->> 'confidence')) BETWEEN 0 AND 1
	    THEN pg_temp.as_number(coalesce(j ->> 'confidence_score',
	        j ->> 'confidence')) END,
	jsonb_build_object('imported', j),
	coalesce(pg_temp.as_time(j ->> 'discovery_date'),
	    pg_temp.as_time(j ->> 'created_at'), clock_timestamp()),
	pg_temp.as_time(j ->> 'deadline_date'), j ->> 'sync_id'
FROM pg_temp.rows_of(:'from', 'claims') j
WHERE j ->> 'user_id' IS NOT NULL
AND coalesce(j ->> 'claim_id', j ->> 'id') IS NOT NULL
ON CONFLICT (user_id, claim_id) DO NOTHING;

SELECT (SELECT count(*) FROM old_syncs) AS syncs_read,
	(SELECT count(*) FROM ended_now) AS syncs_added_to_history,
	(SELECT count(*) FROM syncline.sync_active WHERE cause = 'import')
	    AS left_running,
	(SELECT count(*) FROM syncline.claims WHERE evidence ? 'imported')
	    AS claims_imported;
COMMIT;
