# shellcheck shell=bash
# place.sh - where one system lives, and what it is set to.
#
# VAR holds what is worth keeping: the cluster, logs, secrets, settings.  RUN
# holds sockets and process ids: a short path of its own, as a socket's name
# may have 107 bytes and VAR may lie anywhere.  Where another user has to get
# at something (PostgreSQL refuses to be root) and cannot enter VAR, that
# lies in RUN too.

UID_NOW=$(id -u)
PG_USER=
WEB_USER=
if [ "$UID_NOW" = 0 ]; then
	PG_USER=postgres
	WEB_USER=www-data
fi

# What `up` writes down beside every SYNCLINE_* it was given, so that a part
# started later is started alike.
NOTED='PORT SANDBOX_PORT SYNCLINE_BUILD LIMIT_REQ SANDBOX_ARGS POSTGRES_ARGS
	DEMO_USER'

say() {
	printf '%s\n' "$*"
}

die() {
	printf 'syncline: %s\n' "$*" >&2
	exit 1
}

# as USER COMMAND... - as that user when there is one to be, else as we are.
as() {
	local user=$1
	shift
	if [ -z "$user" ]; then
		"$@"
	else
		setpriv --reuid="$user" --regid="$(id -g "$user")" \
		    --init-groups -- "$@"
	fi
}

# reachable USER DIR - whether that user can enter it.
reachable() {
	(cd / && as "$1" test -x "$2/.") 2>/dev/null
}

# place_name finds out where everything is and makes nothing.
place_name() {
	VAR=$(realpath -m -- "${VAR:-$ROOT/var}")
	local sum
	sum=$(printf %s "$VAR" | sha256sum)
	RUN_ALL=/var/tmp/syncline-$UID_NOW
	RUN=$RUN_ALL/${sum:0:12}
	LOG=$VAR/log
	SECRETS=$VAR/secrets
	if [ -L "$VAR/pg" ]; then
		PGDATA=$RUN/pgdata
	else
		PGDATA=$VAR/pg
	fi
}

# The shared folder of all our systems: /var/tmp is everybody's, so a folder
# that somebody else put there first is not to be trusted.
run_make() {
	local mode=700
	[ "$UID_NOW" != 0 ] || mode=711
	mkdir -m "$mode" "$RUN_ALL" 2>/dev/null || true
	if [ -L "$RUN_ALL" ] || [ ! -d "$RUN_ALL" ] || [ ! -O "$RUN_ALL" ]; then
		die "$RUN_ALL is not a folder of ours; remove it"
	fi
	chmod "$mode" "$RUN_ALL"
	mkdir -p "$RUN"
	chmod "$mode" "$RUN"
}

# place_make makes VAR and RUN, and chooses where the cluster goes.
place_make() {
	local part
	mkdir -p "$VAR" || die "cannot make $VAR"
	[ -O "$VAR" ] ||
	    die "$VAR belongs to $(stat -c %U "$VAR"); choose another VAR"
	run_make
	(umask 077 && mkdir -p "$LOG" "$SECRETS")
	mkdir -p "$VAR/nginx"
	ln -sfn "$SECRETS" "$RUN/secrets"
	for part in $PARTS; do
		part_folder "$part"
	done

	if [ ! -e "$VAR/pg" ] && [ ! -L "$VAR/pg" ]; then
		# A cluster that VAR does not know is of a VAR that was removed.
		rm -rf "$RUN/pgdata" "$VAR/pg.new" "$RUN/pgdata.new"
		if ! reachable "$PG_USER" "$VAR"; then
			ln -s "$RUN/pgdata" "$VAR/pg"
			PGDATA=$RUN/pgdata
		fi
	fi
}

part_folder() {
	mkdir -p "$RUN/$1"
	[ "$UID_NOW" = 0 ] || return 0
	case $1 in
	postgres)
		chown "$PG_USER:" "$RUN/$1"
		chmod 700 "$RUN/$1"
		;;
	fcgi)
		# The group bit hands new sockets to nginx's workers.
		chown "root:$(id -g "$WEB_USER")" "$RUN/$1"
		chmod 2750 "$RUN/$1"
		;;
	nginx) chmod 711 "$RUN/$1" ;;
	*) chmod 700 "$RUN/$1" ;;
	esac
}

# secret NAME COMMAND... - makes a secret once, never half of one.
secret() {
	local file=$SECRETS/$1
	shift
	[ -s "$file" ] && return 0
	(umask 077 && "$@" >"$file.new") || die "cannot make $file"
	mv "$file.new" "$file"
}

random_hex() {
	local hex
	hex=$(openssl rand -hex 32)
	printf %s "$hex"
}

secrets_make() {
	secret jwt random_hex
	secret vault-key openssl rand 32
	secret spapi-client-secret printf %s sandbox-secret
}

# noted NAME VALUE - a line of VAR/settings: what the environment says wins,
# but for where a running system listens.
noted() {
	case $1 in
	PORT | SANDBOX_PORT) ;;
	*) [ -z "${!1+given}" ] || return 0 ;;
	esac
	printf -v "$1" %s "$2"
	case $1 in SYNCLINE_*) export "${1?}" ;; esac
}

settings_read() {
	[ -f "$VAR/settings" ] || return 0
	[ -O "$VAR/settings" ] || die "$VAR/settings is not ours"
	# shellcheck source=/dev/null
	. "$VAR/settings"
}

settings_write() {
	local name
	(
		umask 077
		for name in $NOTED $(compgen -e SYNCLINE_ || true); do
			[ "$name" != SYNCLINE_STACK ] || continue
			[ -n "${!name+given}" ] || continue
			printf 'noted %s %q\n' "$name" "${!name}"
		done | sort -u >"$VAR/settings.new"
	) || die "cannot write $VAR/settings"
	mv "$VAR/settings.new" "$VAR/settings"
}

# setting NAME VALUE - unless the environment or `noted` said otherwise.
setting() {
	[ -n "${!1+given}" ] || printf -v "$1" %s "$2"
	export "${1?}"
}

# settings_complete fills in all that nobody set.
settings_complete() {
	PORT=${PORT:-8080}
	case $PORT in
	'' | *[!0-9]*) die "PORT=$PORT is not a port" ;;
	esac
	SANDBOX_PORT=${SANDBOX_PORT:-$((PORT + 1))}
	SYNCLINE_BUILD=${SYNCLINE_BUILD:-$ROOT/build/gcc}
	LIMIT_REQ=${LIMIT_REQ:-200}
	DEMO_USER=${DEMO_USER:-demo}
	SANDBOX_ARGS=${SANDBOX_ARGS-}
	POSTGRES_ARGS=${POSTGRES_ARGS-}
	BASE_URL=http://127.0.0.1:$PORT
	SANDBOX_URL=http://127.0.0.1:$SANDBOX_PORT
	OWNER_DB="host=$RUN/postgres user=syncline_owner dbname=syncline"
	ADMIN_DB="host=$RUN/postgres user=postgres dbname=postgres"

	setting SYNCLINE_DB \
	    "host=$RUN/postgres user=syncline_app dbname=syncline"
	setting SYNCLINE_FCGI_SOCKET "$RUN/fcgi/handlers.sock"
	setting SYNCLINE_FCGI_PROCESSES 2
	setting SYNCLINE_FCGI_THREADS 32
	setting SYNCLINE_RUNNER_LISTEN "ipc://$RUN/runner/runner.sock"
	setting SYNCLINE_RUNNER_URL "$SYNCLINE_RUNNER_LISTEN"
	setting SYNCLINE_RUNNER_DIR "$RUN/runner"
	# By way of RUN: this setting is a list, and VAR may have spaces in it.
	setting SYNCLINE_JWT_KEYS "HS256=@$RUN/secrets/jwt"
	setting SYNCLINE_VAULT_KEY_FILE "$SECRETS/vault-key"
	setting SYNCLINE_SPAPI_ENDPOINT "$SANDBOX_URL"
	setting SYNCLINE_LWA_URL "$SANDBOX_URL/auth/o2/token"
	setting SYNCLINE_SPAPI_CLIENT_ID sandbox-client
	setting SYNCLINE_SPAPI_CLIENT_SECRET_FILE "$SECRETS/spapi-client-secret"
	setting SYNCLINE_SPAPI_RATE_SCALE 1000
	setting SYNCLINE_PUBLIC_ORIGIN "$BASE_URL"
}

# settings_show prints it all as lines a shell can read.
settings_show() {
	local name
	for name in $(compgen -e SYNCLINE_); do
		printf '%s=%q\n' "$name" "${!name}"
	done
	printf 'STACK_%s=%q\n' BASE_URL "$BASE_URL" SANDBOX_URL "$SANDBOX_URL" \
	    PORT "$PORT" SANDBOX_PORT "$SANDBOX_PORT" VAR "$VAR" RUN_DIR "$RUN" \
	    LOG_DIR "$LOG" PGDATA "$PGDATA" JWT_SECRET_FILE "$SECRETS/jwt" \
	    OWNER_DB "$OWNER_DB" ADMIN_DB "$ADMIN_DB"
}
