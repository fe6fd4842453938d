#!/bin/sh
# import.sh CONNINFO SCHEMA - an older system's rows, see import.sql.
#
# CONNINFO is that of a role that may write syncline's tables and read the old
# ones; both lie in one database.
set -eu
[ $# = 2 ] && [ -n "$2" ] || {
	echo "usage: $0 CONNINFO SCHEMA" >&2
	exit 2
}
found=$(psql -XAtq -v ON_ERROR_STOP=1 -v schema="$2" "$1" <<'SQL'
SELECT count(*) FROM pg_namespace WHERE nspname = :'schema';
SQL
)
[ "$found" = 1 ] || {
	echo "there is no schema named $2 in this database" >&2
	exit 1
}
exec psql -Xq -v ON_ERROR_STOP=1 -v from="$2" \
    -f "$(dirname "$0")/import.sql" "$1"
