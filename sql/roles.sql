-- roles.sql - who may do what; run after the migrations, as often as one likes.
--
-- By a superuser, or by the role that owns the schema: that one needs the
-- right to create roles only while they do not exist yet.
--
--   syncline_app     handlers and runners: rows, temporary tables, functions
--   syncline_reader  a group for people and reports: everything but secrets
BEGIN;

-- Two at a time would collide on the catalog rows of the tables.
SELECT pg_advisory_xact_lock(hashtextextended('syncline.schema', 0))
\g /dev/null

DO $$
DECLARE
	owner text;
	shown text;
BEGIN
	IF to_regrole('syncline_app') IS NULL THEN
		CREATE ROLE syncline_app LOGIN;
	END IF;
	IF to_regrole('syncline_reader') IS NULL THEN
		CREATE ROLE syncline_reader NOLOGIN;
	END IF;

	SELECT nspowner::regrole INTO STRICT owner
	FROM pg_namespace WHERE nspname = 'syncline';

	EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I
		TO syncline_app', current_database());
	EXECUTE format('GRANT CONNECT ON DATABASE %I
		TO syncline_reader', current_database());

	-- What later migrations, and the partitions made by and by, shall get.
	EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA syncline
		GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES
		TO syncline_app', owner);
	EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA syncline
		GRANT USAGE ON SEQUENCES TO syncline_app', owner);
	EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA syncline
		GRANT EXECUTE ON ROUTINES TO syncline_app', owner);
	EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA syncline
		GRANT SELECT ON TABLES TO syncline_reader', owner);

	GRANT USAGE ON SCHEMA syncline TO syncline_app, syncline_reader;
	GRANT SELECT, INSERT, UPDATE, DELETE
		ON ALL TABLES IN SCHEMA syncline TO syncline_app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA syncline TO syncline_app;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA syncline TO syncline_app;
	GRANT SELECT ON ALL TABLES IN SCHEMA syncline TO syncline_reader;

	-- The record of the migrations is its owner's alone to write.
	REVOKE INSERT, UPDATE, DELETE ON syncline.schema_migrations
		FROM syncline_app;

	-- Sealed secrets are bytea; a reader has no use for them.
	IF to_regclass('syncline.connections') IS NOT NULL THEN
		SELECT string_agg(quote_ident(attname), ', ') INTO shown
		FROM pg_attribute
		WHERE attrelid = 'syncline.connections'::regclass
			AND attnum > 0 AND NOT attisdropped
			AND atttypid <> 'bytea'::regtype;
		REVOKE SELECT ON syncline.connections FROM syncline_reader;
		EXECUTE format('GRANT SELECT (%s) ON syncline.connections
			TO syncline_reader', shown);
	END IF;
END $$;

COMMIT;
