#!/bin/sh
# migrate.sh [CONNINFO] - bring a database to the schema of these files.
#
# Applies sql/migrations/NNNN_name.sql in order, each exactly once, all that
# are missing in one transaction: either the database reaches the last file or
# it stays as it was.  A transaction-level advisory lock lets one of several
# at a time through; the others then find nothing left to do.  What was
# applied stands in syncline.schema_migrations, with the checksum of the file.
#
# Run it as the role that shall own the tables.  Without CONNINFO libpq's own
# environment (PGHOST, PGUSER, PGPASSWORD, ...) says where; a password is
# better off there, as arguments show in process lists.
set -eu

say() {
	printf 'migrate: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

[ $# -le 1 ] || die "usage: migrate.sh [CONNINFO]"
conninfo=${1-}

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
cd "${MIGRATIONS:-$here/migrations}" || die "no folder with migrations"

# The program itself where Debian keeps it: its wrapper costs more than the
# whole of a run that finds nothing to do.
psql=${PSQL:-/usr/lib/postgresql/15/bin/psql}
[ -x "$psql" ] || psql=psql

# What we have, as JSON for the check and as psql lines for the applying.
LC_ALL=C
export LC_ALL
files=
apply=
last=
for f in [0-9][0-9][0-9][0-9]_*.sql; do
	[ -f "$f" ] || die "no migration in $PWD"
	name=${f%.sql}
	case $name in
	*[!a-z0-9_]*) die "$f: a name is made of a-z, 0-9 and _" ;;
	esac
	version=${name%%_*}
	[ "$version" != "$last" ] || die "two files are numbered $version"
	last=$version
	sum=$(sha256sum <"$f")
	sum=${sum%% *}
	files="$files${files:+,}{\"name\":\"$name\",\"checksum\":\"$sum\"}"
	apply="$apply
SELECT NOT EXISTS (SELECT FROM syncline.schema_migrations
	WHERE name = '$name') AS missing \\gset
\\if :missing
\\echo 'migrate: applying $name'
\\i $f
SELECT pg_current_xact_id()::text = :'transaction' AS whole \\gset
\\if :whole
INSERT INTO syncline.schema_migrations (version, name, checksum)
VALUES ($version, '$name', '$sum');
\\else
DO \$\$ BEGIN RAISE EXCEPTION
	'$f ends the transaction of the migrations; it must not'; END \$\$;
\\endif
\\endif"
done

# Without an own line for it psql would read the script and conninfo as one.
set -- -X -q -v ON_ERROR_STOP=1 -v files="[$files]" -f -
[ -z "$conninfo" ] || set -- "$@" -d "$conninfo"

"$psql" "$@" <<EOT || die "nothing was changed"
\\set VERBOSITY terse
\\o /dev/null
SET client_min_messages = warning;
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('syncline.schema', 0));
SELECT pg_current_xact_id()::text AS transaction \\gset
SELECT set_config('migrate.files', :'files', true);

DO \$\$
DECLARE
	wrong text;
BEGIN
	IF to_regnamespace('syncline') IS NULL THEN
		CREATE SCHEMA syncline;
	END IF;
	IF to_regclass('syncline.schema_migrations') IS NULL THEN
		CREATE TABLE syncline.schema_migrations (
			version integer PRIMARY KEY,
			name text NOT NULL UNIQUE,
			checksum text NOT NULL,
			applied_at timestamptz NOT NULL
				DEFAULT clock_timestamp()
		);
	END IF;

	CREATE TEMPORARY TABLE files ON COMMIT DROP AS
	SELECT left(name, 4)::integer AS version, name, checksum
	FROM jsonb_to_recordset(current_setting('migrate.files')::jsonb)
		AS f (name text, checksum text);

	SELECT string_agg(m.name, ', ' ORDER BY m.version) INTO wrong
	FROM syncline.schema_migrations m
	WHERE m.version > (SELECT max(version) FROM files);
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION 'the database is newer than these files: '
			'it has % already', wrong;
	END IF;

	SELECT string_agg(m.name, ', ' ORDER BY m.version) INTO wrong
	FROM syncline.schema_migrations m
	WHERE NOT EXISTS (SELECT FROM files f WHERE f.name = m.name);
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION 'the database has migrations that are not '
			'among these files: %', wrong;
	END IF;

	SELECT string_agg(m.name, ', ' ORDER BY m.version) INTO wrong
	FROM syncline.schema_migrations m JOIN files f USING (name)
	WHERE f.checksum <> m.checksum;
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION 'changed since it was applied: %; put the '
			'change into a new file', wrong;
	END IF;

	SELECT string_agg(f.name, ', ' ORDER BY f.version) INTO wrong
	FROM files f
	WHERE f.version < (SELECT max(version) FROM syncline.schema_migrations)
		AND NOT EXISTS (SELECT FROM syncline.schema_migrations m
			WHERE m.version = f.version);
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION 'numbered below what is applied already: %; '
			'give it the next number', wrong;
	END IF;
	DROP TABLE files;
END \$\$;
$apply
COMMIT;
EOT
