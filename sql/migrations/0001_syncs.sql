-- 0001_syncs: the life of a sync, from start to history.
--
-- sync_active holds what runs, sync_history what ended.  A guard trigger on
-- sync_active is the last word on what may change, whatever client asks; the
-- moving of an ended row, its terminal event and the user's totals happen in
-- a second trigger, so that no path can end a sync and forget one of them.

-- refuse raises an error with one of our own SQLSTATEs (class SL) from
-- within a statement; shared/db.c maps them.
--   SL001 fenced   SL002 edge refused   SL003 limit   SL004 counts wrong
CREATE FUNCTION syncline.refuse(code text, reason text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '%', reason USING ERRCODE = code;
END $$;

-- canonical_status understands the older system's words.
CREATE FUNCTION syncline.canonical_status(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE lower(word)
		WHEN 'in_progress' THEN 'running'
		WHEN 'complete' THEN 'completed'
		WHEN 'canceled' THEN 'cancelled'
		ELSE lower(word) END
$$;

-- new_id is a UUID of version 7 (RFC 9562, 5.7), so ids sort by age.
CREATE FUNCTION syncline.new_id() RETURNS text
LANGUAGE sql VOLATILE AS $$
	SELECT substr(ms, 1, 8) || '-' || substr(ms, 9, 4) || '-7'
	    || substr(r, 1, 3) || '-' || to_hex(8 + floor(random() * 4)::int)
	    || substr(r, 4, 3) || '-' || substr(r, 7, 12)
	FROM (SELECT lpad(to_hex(floor(extract(epoch FROM clock_timestamp())
	        * 1000)::bigint), 12, '0') AS ms,
	    replace(gen_random_uuid()::text, '-', '') AS r) x
$$;

CREATE FUNCTION syncline.rfc3339(t timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

CREATE TABLE syncline.sync_active (
	sync_id text COLLATE "C" PRIMARY KEY
		CHECK (length(sync_id) BETWEEN 1 AND 128),
	user_id text COLLATE "C" NOT NULL
		CHECK (length(user_id) BETWEEN 1 AND 128),
	connection_id text COLLATE "C" NOT NULL
		CHECK (length(connection_id) BETWEEN 1 AND 128),
	provider text NOT NULL,
	cause text NOT NULL DEFAULT 'user' CHECK (cause IN
		('user', 'force', 'retry', 'rerun', 'bulk', 'schedule', 'import')),
	mode text NOT NULL DEFAULT 'incremental'
		CHECK (mode IN ('incremental', 'full')),
	wanted text[],                 -- streams asked for; NULL is all
	priority smallint NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 3),
	retry_of text COLLATE "C",
	request_id text,
	idempotency_key text,
	rerun boolean NOT NULL DEFAULT false,
	status text NOT NULL DEFAULT 'running' CHECK (status IN
		('running', 'completed', 'failed', 'cancelled')),
	phase text NOT NULL DEFAULT 'queued' CHECK (phase IN
		('queued', 'fetching', 'loading', 'rate_limited', 'retry_wait',
		 'detecting', 'finalizing')),
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	completed_at timestamptz,
	runner_id text COLLATE "C",    -- who works on it; NULL is nobody
	lease_epoch bigint NOT NULL DEFAULT 0, -- raised by every claim
	not_before timestamptz,        -- waits until then
	attempt integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
	max_attempts integer NOT NULL DEFAULT 5,
	crash_count integer NOT NULL DEFAULT 0,
	progress double precision NOT NULL DEFAULT 0
		CHECK (progress BETWEEN 0 AND 100),
	message text NOT NULL DEFAULT 'Sync queued',
	error_code text,
	error_message text,
	error_retryable boolean,
	-- where the next step goes on, per stream; the source's own business
	checkpoint jsonb NOT NULL DEFAULT '{}',
	-- {"orders": {"ord": 0, "read": n, ..., "done": bool}, ...}
	streams jsonb NOT NULL DEFAULT '{}',
	claims_detected bigint,
	claims_value numeric,
	seq bigint NOT NULL DEFAULT 1, -- raised by every change
	step_at timestamptz            -- the last committed step
) WITH (fillfactor = 50);

-- One active sync per user and connection.  Partial, so that a row which is
-- ending does not stand in the way of the one that replaces it.
CREATE UNIQUE INDEX sync_active_one ON syncline.sync_active
	(user_id, connection_id) WHERE status = 'running';
CREATE INDEX sync_active_queue ON syncline.sync_active
	(priority DESC, sync_id);

CREATE TABLE syncline.sync_history (
	LIKE syncline.sync_active INCLUDING DEFAULTS,
	CHECK (status IN ('completed', 'failed', 'cancelled')),
	CHECK ((status = 'completed') = (progress = 100)),
	PRIMARY KEY (sync_id, completed_at)
) PARTITION BY RANGE (completed_at);
CREATE INDEX sync_history_user ON syncline.sync_history
	(user_id, started_at DESC, sync_id DESC);
CREATE TABLE syncline.sync_history_other
	PARTITION OF syncline.sync_history DEFAULT;

CREATE TABLE syncline.sync_events (
	sync_id text COLLATE "C" NOT NULL,
	seq bigint NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	type text NOT NULL CHECK (type IN ('success', 'warning', 'info')),
	kind text NOT NULL,            -- stable word: started, completed, ...
	message text NOT NULL,
	data jsonb,
	PRIMARY KEY (sync_id, seq, kind, at)
) PARTITION BY RANGE (at);
CREATE INDEX sync_events_user ON syncline.sync_events (user_id, at DESC);
CREATE TABLE syncline.sync_events_other
	PARTITION OF syncline.sync_events DEFAULT;

-- What a user has done so far, so that no page counts rows of a table that
-- grows.  Everything but the kept_ columns survives a cleanup of history.
CREATE TABLE syncline.user_stats (
	user_id text COLLATE "C" PRIMARY KEY,
	completed bigint NOT NULL DEFAULT 0,
	failed bigint NOT NULL DEFAULT 0,
	cancelled bigint NOT NULL DEFAULT 0,
	kept_completed bigint NOT NULL DEFAULT 0,
	kept_failed bigint NOT NULL DEFAULT 0,
	kept_cancelled bigint NOT NULL DEFAULT 0,
	orders_processed bigint NOT NULL DEFAULT 0,
	claims_detected bigint NOT NULL DEFAULT 0,
	completed_seconds double precision NOT NULL DEFAULT 0,
	-- the start limit: syncs created since window_start
	window_start timestamptz,
	window_count integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One row per runner process; the lease is the runner's, not the sync's.
CREATE TABLE syncline.runners (
	runner_id text COLLATE "C" PRIMARY KEY, -- new per process start
	name text NOT NULL,
	host text NOT NULL,
	address text NOT NULL,         -- where others reach it, an NNG URL
	version text NOT NULL,
	pid integer NOT NULL,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	lease_until timestamptz NOT NULL,
	stopping boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
-- A runner's database sessions carry its runner_id as application_name, so
-- whoever rescues its syncs finds and ends them in pg_stat_activity.

CREATE TABLE syncline.connections (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL
		CHECK (length(connection_id) BETWEEN 1 AND 128),
	provider text NOT NULL,
	label text NOT NULL DEFAULT '',
	is_default boolean NOT NULL DEFAULT false,
	status text NOT NULL DEFAULT 'connected' CHECK (status IN
		('connected', 'reconnect_required', 'disconnected')),
	account_id text,               -- the seller's id at the provider
	region text NOT NULL DEFAULT 'na' CHECK (region IN ('na', 'eu', 'fe')),
	marketplaces text[] NOT NULL DEFAULT '{}',
	settings jsonb NOT NULL DEFAULT '{}',
	-- sealed by shared/vault.h for this user and connection
	refresh_token bytea,
	access_token bytea,
	access_expires_at timestamptz,
	-- single flight: who fetches a new access token, and until when
	refreshing_by text,
	refreshing_until timestamptz,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (user_id, connection_id)
);

-- Cursors between syncs: what the last completed window of a stream reached.
CREATE TABLE syncline.stream_state (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	stream text NOT NULL,
	cursor jsonb NOT NULL,
	sync_id text COLLATE "C" NOT NULL,
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (user_id, connection_id, stream)
);

CREATE TABLE syncline.idempotency_keys (
	user_id text COLLATE "C" NOT NULL,
	key text NOT NULL,
	sync_id text COLLATE "C" NOT NULL,
	request_hash text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_age ON syncline.idempotency_keys (created_at);

-- Keys of unchanged rows that a running sync has met, so that meeting one
-- again counts as repeated.  Emptied when the sync ends.
CREATE TABLE syncline.sync_seen (
	sync_id text COLLATE "C" NOT NULL,
	stream text NOT NULL,
	key_hash bigint NOT NULL,
	PRIMARY KEY (sync_id, stream, key_hash)
);

CREATE TABLE syncline.quarantine (
	quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	sync_id text COLLATE "C" NOT NULL,
	stream text NOT NULL,
	reason text NOT NULL,
	raw text,                      -- bounded by the loader
	at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX quarantine_sync ON syncline.quarantine (sync_id, quarantine_id);

CREATE TABLE syncline.audit_log (
	audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	actor text NOT NULL,
	action text NOT NULL,
	subject text,
	data jsonb
);

-- streams_add adds one step's counts to the totals and keeps the identity
-- read = inserted + updated + unchanged + repeated + rejected.
CREATE FUNCTION syncline.streams_add(total jsonb, delta jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	name text;
	d jsonb;
	t jsonb;
	k text;
BEGIN
	FOR name, d IN SELECT * FROM jsonb_each(delta) LOOP
		t := coalesce(total -> name, '{}');
		FOREACH k IN ARRAY ARRAY['read', 'inserted', 'updated',
		    'unchanged', 'repeated', 'rejected', 'removed'] LOOP
			t := jsonb_set(t, ARRAY[k], to_jsonb(
			    coalesce((t ->> k)::bigint, 0)
			    + coalesce((d ->> k)::bigint, 0)));
		END LOOP;
		IF (t ->> 'read')::bigint <> (t ->> 'inserted')::bigint
		    + (t ->> 'updated')::bigint + (t ->> 'unchanged')::bigint
		    + (t ->> 'repeated')::bigint + (t ->> 'rejected')::bigint
		THEN
			PERFORM syncline.refuse('SL004', format(
			    'counts of stream %s do not add up: %s', name, t));
		END IF;
		-- what is not a count replaces what was known
		total := jsonb_set(total, ARRAY[name], t || (d - ARRAY['read',
		    'inserted', 'updated', 'unchanged', 'repeated',
		    'rejected', 'removed']));
	END LOOP;
	RETURN total;
END $$;

-- The legal moves of a running sync's phase; runner/state.c holds the same
-- table and a test compares the two.
CREATE TABLE syncline.phase_edges (
	from_phase text NOT NULL,
	to_phase text NOT NULL,
	PRIMARY KEY (from_phase, to_phase)
);
INSERT INTO syncline.phase_edges VALUES
	('queued', 'fetching'), ('queued', 'detecting'),
	('queued', 'finalizing'), ('queued', 'retry_wait'),
	('queued', 'rate_limited'),
	('fetching', 'loading'), ('fetching', 'rate_limited'),
	('fetching', 'retry_wait'), ('fetching', 'detecting'),
	('fetching', 'finalizing'), ('fetching', 'queued'),
	('loading', 'fetching'), ('loading', 'rate_limited'),
	('loading', 'retry_wait'), ('loading', 'detecting'),
	('loading', 'finalizing'), ('loading', 'queued'),
	('rate_limited', 'fetching'), ('rate_limited', 'queued'),
	('rate_limited', 'retry_wait'), ('rate_limited', 'detecting'),
	('rate_limited', 'finalizing'),
	('retry_wait', 'fetching'), ('retry_wait', 'queued'),
	('retry_wait', 'rate_limited'), ('retry_wait', 'detecting'),
	('retry_wait', 'finalizing'),
	('detecting', 'finalizing'), ('detecting', 'retry_wait'),
	('detecting', 'queued'),
	('finalizing', 'retry_wait'), ('finalizing', 'queued');

-- The same edges as one constant, for the guard: a look-up per changed row
-- would cost a query each time.
CREATE FUNCTION syncline.phase_edge(a text, b text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT a = b OR CASE a
	WHEN 'queued' THEN b IN ('fetching', 'detecting', 'finalizing',
	    'retry_wait', 'rate_limited')
	WHEN 'fetching' THEN b IN ('loading', 'rate_limited', 'retry_wait',
	    'detecting', 'finalizing', 'queued')
	WHEN 'loading' THEN b IN ('fetching', 'rate_limited', 'retry_wait',
	    'detecting', 'finalizing', 'queued')
	WHEN 'rate_limited' THEN b IN ('fetching', 'queued', 'retry_wait',
	    'detecting', 'finalizing')
	WHEN 'retry_wait' THEN b IN ('fetching', 'queued', 'rate_limited',
	    'detecting', 'finalizing')
	WHEN 'detecting' THEN b IN ('finalizing', 'retry_wait', 'queued')
	WHEN 'finalizing' THEN b IN ('retry_wait', 'queued')
	ELSE false END
$$;

CREATE FUNCTION syncline.sync_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	fence text;
BEGIN
	IF TG_OP = 'DELETE' THEN
		IF OLD.status = 'running' THEN
			PERFORM syncline.refuse('SL002',
			    'an active sync cannot be deleted, only ended');
		END IF;
		RETURN OLD;
	END IF;

	IF NEW.status NOT IN ('running', 'completed', 'failed', 'cancelled')
	THEN
		NEW.status := syncline.canonical_status(NEW.status);
	END IF;
	IF TG_OP = 'INSERT' THEN
		IF NEW.status <> 'running' OR NEW.phase <> 'queued'
		    OR NEW.runner_id IS NOT NULL OR NEW.progress <> 0
		    OR NEW.lease_epoch <> 0 OR NEW.completed_at IS NOT NULL
		THEN
			PERFORM syncline.refuse('SL002',
			    'a sync begins running, queued and unowned');
		END IF;
		RETURN NEW;
	END IF;

	IF OLD.status <> 'running' THEN
		PERFORM syncline.refuse('SL002', 'an ended sync never changes');
	END IF;
	IF (NEW.sync_id, NEW.user_id, NEW.connection_id, NEW.provider,
	    NEW.started_at) IS DISTINCT FROM (OLD.sync_id, OLD.user_id,
	    OLD.connection_id, OLD.provider, OLD.started_at)
	    OR NEW.retry_of IS DISTINCT FROM OLD.retry_of
	THEN
		PERFORM syncline.refuse('SL002',
		    'identity and start of a sync never change');
	END IF;
	IF NOT syncline.phase_edge(OLD.phase, NEW.phase) THEN
		PERFORM syncline.refuse('SL002',
		    format('no edge from %s to %s', OLD.phase, NEW.phase));
	END IF;
	IF NEW.lease_epoch < OLD.lease_epoch OR
	    (NEW.runner_id IS NOT NULL
	     AND NEW.runner_id IS DISTINCT FROM OLD.runner_id
	     AND NEW.lease_epoch <= OLD.lease_epoch)
	THEN
		PERFORM syncline.refuse('SL001',
		    'the epoch rises with every claim and never falls');
	END IF;
	IF NEW.progress < OLD.progress THEN
		PERFORM syncline.refuse('SL002', 'progress never falls');
	END IF;

	fence := current_setting('syncline.fence', true);
	IF (NEW.checkpoint IS DISTINCT FROM OLD.checkpoint
	    OR NEW.streams IS DISTINCT FROM OLD.streams
	    OR NEW.claims_detected IS DISTINCT FROM OLD.claims_detected
	    OR NEW.claims_value IS DISTINCT FROM OLD.claims_value)
	    AND fence IS DISTINCT FROM OLD.runner_id || ':' || OLD.lease_epoch
	THEN
		PERFORM syncline.refuse('SL001',
		    'only the owner changes checkpoint and counts');
	END IF;
	IF NEW.status = 'completed' AND OLD.cause <> 'import'
	    AND (OLD.runner_id IS NULL
	        OR split_part(coalesce(fence, ''), ':', 1) <> OLD.runner_id)
	THEN
		PERFORM syncline.refuse('SL001',
		    'only the owner completes a sync');
	END IF;
	IF NEW.status = 'completed' THEN
		NEW.progress := 100;
	ELSIF NEW.progress >= 100 THEN
		NEW.progress := greatest(OLD.progress, 99);
	END IF;
	IF NEW.status <> 'running' THEN
		IF OLD.cause <> 'import' OR NEW.completed_at IS NULL THEN
			NEW.completed_at :=
			    greatest(clock_timestamp(), NEW.started_at);
		END IF;
		NEW.not_before := NULL;
	END IF;
	NEW.seq := OLD.seq + 1;
	RETURN NEW;
END $$;
CREATE TRIGGER sync_guard BEFORE INSERT OR UPDATE OR DELETE
	ON syncline.sync_active
	FOR EACH ROW EXECUTE FUNCTION syncline.sync_guard();

-- sync_started writes the first event of each new sync.
CREATE FUNCTION syncline.sync_started() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO syncline.sync_events
	    (sync_id, seq, user_id, at, type, kind, message, data)
	SELECT sync_id, seq, user_id, started_at, 'info', 'started',
	    'Sync started', jsonb_strip_nulls(jsonb_build_object(
	        'connectionId', connection_id, 'cause', cause,
	        'retryOf', retry_of, 'requestId', request_id))
	FROM started;
	RETURN NULL;
END $$;
CREATE TRIGGER sync_started AFTER INSERT ON syncline.sync_active
	REFERENCING NEW TABLE AS started
	FOR EACH STATEMENT EXECUTE FUNCTION syncline.sync_started();

-- distinct_of is what a stream's counts say of distinct records; of an
-- imported sync only that one number is known ("processed").
CREATE FUNCTION syncline.distinct_of(streams jsonb, name text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT coalesce((streams -> name ->> 'read')::bigint
	    - (streams -> name ->> 'repeated')::bigint
	    - (streams -> name ->> 'rejected')::bigint,
	    (streams -> name ->> 'processed')::bigint)
$$;

-- sync_ended moves ended rows to history, with event and totals.  Set-based,
-- so a batch of endings costs three statements; user rows in user order.
CREATE FUNCTION syncline.sync_ended() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM changed WHERE status <> 'running') THEN
		RETURN NULL;
	END IF;
	INSERT INTO syncline.sync_history
	SELECT * FROM changed WHERE status <> 'running';
	INSERT INTO syncline.sync_events
	    (sync_id, seq, user_id, at, type, kind, message, data)
	SELECT sync_id, seq, user_id, completed_at,
	    CASE status WHEN 'completed' THEN 'success'
	        WHEN 'failed' THEN 'warning' ELSE 'info' END,
	    status, message,
	    CASE WHEN error_code IS NOT NULL
	        THEN jsonb_build_object('code', error_code) END
	FROM changed WHERE status <> 'running';
	INSERT INTO syncline.user_stats AS s (user_id, completed, failed,
	    cancelled, kept_completed, kept_failed, kept_cancelled,
	    orders_processed, claims_detected, completed_seconds)
	SELECT user_id, done, bad, gone, done, bad, gone, orders, claims, secs
	FROM (SELECT user_id,
	        count(*) FILTER (WHERE status = 'completed') AS done,
	        count(*) FILTER (WHERE status = 'failed') AS bad,
	        count(*) FILTER (WHERE status = 'cancelled') AS gone,
	        coalesce(sum(syncline.distinct_of(streams, 'orders')), 0)
	            AS orders,
	        coalesce(sum(claims_detected), 0) AS claims,
	        coalesce(sum(extract(epoch FROM completed_at - started_at))
	            FILTER (WHERE status = 'completed'), 0) AS secs
	    FROM changed WHERE status <> 'running' GROUP BY user_id) e
	ORDER BY user_id
	ON CONFLICT (user_id) DO UPDATE SET
	    completed = s.completed + excluded.completed,
	    failed = s.failed + excluded.failed,
	    cancelled = s.cancelled + excluded.cancelled,
	    kept_completed = s.kept_completed + excluded.kept_completed,
	    kept_failed = s.kept_failed + excluded.kept_failed,
	    kept_cancelled = s.kept_cancelled + excluded.kept_cancelled,
	    orders_processed = s.orders_processed + excluded.orders_processed,
	    claims_detected = s.claims_detected + excluded.claims_detected,
	    completed_seconds =
	        s.completed_seconds + excluded.completed_seconds;
	DELETE FROM syncline.sync_active a USING changed c
	WHERE c.status <> 'running' AND a.sync_id = c.sync_id;
	-- the one follow-up run that was asked for meanwhile
	INSERT INTO syncline.sync_active (sync_id, user_id, connection_id,
	    provider, cause, priority, max_attempts, request_id)
	SELECT syncline.new_id(), user_id, connection_id, provider, 'rerun',
	    priority, max_attempts, request_id
	FROM changed WHERE rerun AND status IN ('completed', 'failed')
	ON CONFLICT (user_id, connection_id) WHERE status = 'running'
	    DO NOTHING;
	RETURN NULL;
END $$;
CREATE TRIGGER sync_ended AFTER UPDATE ON syncline.sync_active
	REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION syncline.sync_ended();

-- Ended syncs never change.  They leave by cleanup or erasure only, which
-- say so in their transaction.
CREATE FUNCTION syncline.history_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE'
	    AND current_setting('syncline.cleanup', true) = 'on' THEN
		RETURN OLD;
	END IF;
	PERFORM syncline.refuse('SL002', 'an ended sync never changes');
	RETURN NULL;
END $$;
CREATE TRIGGER history_guard BEFORE UPDATE OR DELETE
	ON syncline.sync_history
	FOR EACH ROW EXECUTE FUNCTION syncline.history_guard();

-- Partitions for this month and the next `ahead` ones.  Runs as the owner,
-- so that the runner, which may not create tables, can call it.
CREATE FUNCTION syncline.ensure_partitions(ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	parent text;
	month date;
	part text;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('syncline.ensure_partitions'));
	FOREACH parent IN ARRAY ARRAY['sync_history', 'sync_events'] LOOP
		FOR i IN 0 .. least(ahead, 24) LOOP
			month := (date_trunc('month', clock_timestamp()
			    AT TIME ZONE 'UTC') + make_interval(months => i))::date;
			part := format('%s_%s', parent,
			    to_char(month, 'YYYY_MM'));
			CONTINUE WHEN to_regclass('syncline.' || part)
			    IS NOT NULL;
			BEGIN
				EXECUTE format('CREATE TABLE syncline.%I '
				    'PARTITION OF syncline.%I '
				    'FOR VALUES FROM (%L) TO (%L)',
				    part, parent,
				    month::timestamp AT TIME ZONE 'UTC',
				    (month + interval '1 month')::timestamp
				    AT TIME ZONE 'UTC');
			EXCEPTION WHEN check_violation THEN
				-- nobody made it in time and rows of that
				-- month lie in the default one: they stay
				NULL;
			END;
		END LOOP;
	END LOOP;
END $$;
SELECT syncline.ensure_partitions(3);

-- cleanup removes what ended before a time; the users' totals stay.
CREATE FUNCTION syncline.cleanup(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	removed bigint := 0;
BEGIN
	PERFORM set_config('syncline.cleanup', 'on', true);
	WITH gone AS (
		DELETE FROM syncline.sync_history WHERE completed_at < before
		RETURNING user_id, status
	), per_user AS (
		SELECT user_id,
		    count(*) FILTER (WHERE status = 'completed') AS done,
		    count(*) FILTER (WHERE status = 'failed') AS bad,
		    count(*) FILTER (WHERE status = 'cancelled') AS gone
		FROM gone GROUP BY user_id ORDER BY user_id
	), lowered AS (
		UPDATE syncline.user_stats s SET
		    kept_completed = s.kept_completed - p.done,
		    kept_failed = s.kept_failed - p.bad,
		    kept_cancelled = s.kept_cancelled - p.gone
		FROM per_user p WHERE s.user_id = p.user_id
	)
	SELECT coalesce(sum(done + bad + gone), 0) INTO removed FROM per_user;
	DELETE FROM syncline.sync_events WHERE at < before;
	PERFORM set_config('syncline.cleanup', 'off', true);
	RETURN removed;
END $$;

-- is_stale: nobody can be working on it (design: "Stale").
CREATE FUNCTION syncline.is_stale(a syncline.sync_active, after interval)
RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT a.cause = 'import' OR (a.runner_id IS NOT NULL
	    AND coalesce((SELECT r.lease_until FROM syncline.runners r
	        WHERE r.runner_id = a.runner_id), a.started_at)
	        < clock_timestamp() - after
	    AND EXISTS (SELECT FROM syncline.runners r
	        WHERE r.lease_until > clock_timestamp()))
$$;

-- sync_all: every sync, active or ended, with the columns the API shows.
-- An ended row leaves sync_active in the statement that ends it; saying so
-- lets the planner use the partial index.
CREATE VIEW syncline.sync_all AS
SELECT * FROM syncline.sync_active WHERE status = 'running'
UNION ALL
SELECT * FROM syncline.sync_history;

-- queue_position: how many stand ahead of a waiting sync, and itself; NULL
-- past 10,000, where counting would cost more than the number is worth.  A
-- function, so that a view of many rows is not thought dear because of it,
-- and always by the index, whatever the statistics say.
CREATE FUNCTION syncline.queue_position(mine smallint, id text)
RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
	n bigint;
BEGIN
	SELECT count(*) INTO n FROM (
		SELECT FROM syncline.sync_active q WHERE q.priority > mine
		AND q.runner_id IS NULL AND q.cause <> 'import'
		UNION ALL
		SELECT FROM syncline.sync_active q WHERE q.priority = mine
		AND q.sync_id < id
		AND q.runner_id IS NULL AND q.cause <> 'import'
		LIMIT 10000) ahead;
	RETURN CASE WHEN n < 10000 THEN n + 1 END;
END $$;

-- sync_object: the same with its times as the API writes them.  Nothing here
-- is volatile, or each query would work out all rows of a user before it
-- picks the newest.
CREATE VIEW syncline.sync_object AS
SELECT s.*, syncline.rfc3339(s.started_at) AS started_text,
	syncline.rfc3339(s.completed_at) AS completed_text,
	greatest(extract(epoch FROM coalesce(s.completed_at,
	    statement_timestamp()) - s.started_at), 0)::double precision
	    AS duration,
	syncline.rfc3339(CASE WHEN s.phase = 'retry_wait'
	    AND s.status = 'running' THEN s.not_before END) AS next_retry_text,
	CASE WHEN s.phase = 'queued' AND s.status = 'running'
	    THEN syncline.queue_position(s.priority, s.sync_id) END
	    AS queue_position
FROM syncline.sync_all s;

-- sync_streams: one row per sync and stream, for SQL users.
CREATE VIEW syncline.sync_streams AS
SELECT s.sync_id, s.user_id, s.connection_id, s.status, e.key AS stream,
	(e.value ->> 'read')::bigint AS read,
	(e.value ->> 'inserted')::bigint AS inserted,
	(e.value ->> 'updated')::bigint AS updated,
	(e.value ->> 'unchanged')::bigint AS unchanged,
	(e.value ->> 'repeated')::bigint AS repeated,
	(e.value ->> 'rejected')::bigint AS rejected,
	(e.value ->> 'removed')::bigint AS removed,
	coalesce((e.value ->> 'done')::boolean, false) AS done
FROM syncline.sync_all s, jsonb_each(s.streams) e;

-- sync_progress: the name under which older SQL users know it.
CREATE VIEW syncline.sync_progress AS
SELECT sync_id, user_id, connection_id, provider, status, phase, progress,
	message, started_at, completed_at, error_message, retry_of, attempt,
	syncline.distinct_of(streams, 'orders') AS orders_processed,
	claims_detected, streams AS metadata
FROM syncline.sync_all;
