# shellcheck shell=bash
# parts.sh - the processes of a system: how each starts, when it is ready,
# what ends it.

PARTS='postgres sandbox runner fcgi nginx'
PG_BIN=/usr/lib/postgresql/15/bin
HTTP=(curl -sS --noproxy '*' --max-time 10)

# A second runner is the part runner-2, and so on, beside the first.
part_known() {
	case $1 in
	runner-*[!0-9]* | runner-) return 1 ;;
	runner-*) return 0 ;;
	esac
	case " $PARTS " in *" $1 "*) return 0 ;; esac
	return 1
}

# parts_there prints every part that has or may have a process, first to last.
parts_there() {
	local part file
	for part in $PARTS; do
		[ "$part" != fcgi ] || for file in "$RUN"/runner-*.pid; do
			[ ! -e "$file" ] || basename "$file" .pid
		done
		printf '%s\n' "$part"
	done
}

# PostgreSQL: on a unix socket in a private folder, nowhere else.
cluster_make() {
	[ ! -f "$PGDATA/PG_VERSION" ] || return 0
	local new=$PGDATA.new
	rm -rf "$new"
	mkdir -m 700 "$new"
	[ -z "$PG_USER" ] || chown "$PG_USER:" "$new"
	if [ -n "${STACK_TEMPLATE:-}" ]; then
		template_make || die "cannot make a template cluster"
		cp -a --reflink=auto "$TEMPLATE/." "$new/"
	else
		say "making a PostgreSQL cluster in $PGDATA"
		(cd / && as "$PG_USER" "$PG_BIN/initdb" -D "$new" \
		    -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
		    --no-instructions) >>"$LOG/initdb.log" 2>&1 || {
			tail -n 20 "$LOG/initdb.log" >&2
			die "initdb failed"
		}
	fi
	mv "$new" "$PGDATA"
}

# template_make makes a cluster with our schema once for all tests to copy,
# and TEMPLATE its name.  A system of its own makes it and is removed.
template_make() {
	local sum lock
	sum=$(cat "$ROOT"/sql/migrations/*.sql "$ROOT"/sql/*.s[hq]* \
	    "$HERE/parts.sh" | sha256sum)
	TEMPLATE=$RUN_ALL/template-${sum:0:12}
	[ ! -f "$TEMPLATE/PG_VERSION" ] || return 0
	exec {lock}>"$RUN_ALL/template.lock"
	flock "$lock"
	if [ ! -f "$TEMPLATE/PG_VERSION" ]; then
		find "$RUN_ALL" -maxdepth 1 -name 'template-*' -mtime +1 \
		    -exec rm -rf {} +
		VAR=$RUN_ALL/template.var STACK_TEMPLATE='' "$HERE/stack" \
		    template "$TEMPLATE" >&2 || return 1
	fi
	exec {lock}>&-
}

# template PLACE - makes it there.
template() {
	rm -rf "$PGDATA" "$1"
	place_make
	part_start postgres
	part_wait postgres || return 1
	schema_make || return 1
	part_stop postgres || return 1
	mv "$PGDATA" "$1"
	rm -rf "$VAR" "$RUN"
}

# Who may enter the socket's folder is in; what is safe stays on.
cluster_configure() {
	local shared=posix
	as "$PG_USER" test -w /dev/shm || shared=mmap
	cat >"$PGDATA/postgresql.conf" <<-CONF
	# Written anew at every start by tests/stack.
	fsync = on
	synchronous_commit = on
	full_page_writes = on
	max_connections = 200
	shared_buffers = 256MB
	dynamic_shared_memory_type = $shared
	effective_cache_size = 1GB
	work_mem = 8MB
	maintenance_work_mem = 64MB
	wal_compression = lz4
	min_wal_size = 128MB
	max_wal_size = 2GB
	checkpoint_timeout = 15min
	checkpoint_completion_target = 0.9
	random_page_cost = 1.1
	jit = off
	autovacuum_naptime = 15s
	autovacuum_vacuum_cost_limit = 1000
	tcp_keepalives_idle = 60
	log_line_prefix = '%m [%p] %q%u/%a '
	log_checkpoints = off
	log_lock_waits = on
	log_timezone = UTC
	timezone = UTC
	datestyle = 'iso, ymd'
	lc_messages = 'C.UTF-8'
	CONF
	printf 'local all all trust\n' >"$PGDATA/pg_hba.conf"
}

# A postmaster.pid whose process is gone, or is somebody else by now, would
# keep PostgreSQL from starting.  Ours are all gone when this is called.
cluster_unlock() {
	rm -f "$PGDATA/postmaster.pid" "$RUN/postgres/".s.PGSQL.*
}

part_start_postgres() {
	local -a more
	read -ra more <<<"$POSTGRES_ARGS"
	cluster_make
	cluster_configure
	cluster_unlock
	proc_launch postgres "$PG_USER" "$PG_BIN/postgres" -D "$PGDATA" \
	    -c listen_addresses= -c unix_socket_directories="$RUN/postgres" \
	    "${more[@]}"
}

part_ready_postgres() {
	"$PG_BIN/pg_isready" -q -h "$RUN/postgres" -U postgres -d postgres
}

# The seller's data follow from the moment its clock starts at.  So that one
# started again is the same seller it was, its clock starts where it first
# did, and is then set to the present.  A --clock of the caller's stays.
part_start_sandbox() {
	local -a more
	read -ra more <<<"$SANDBOX_ARGS"
	[ -s "$VAR/seller-clock" ] ||
	    date -u +%Y-%m-%dT%H:%M:%SZ >"$VAR/seller-clock"
	proc_launch sandbox '' "$SYNCLINE_BUILD/sandbox-seller" \
	    --port "$SANDBOX_PORT" --orders 2000 --skus 300 --seed 1 \
	    --clock "$(<"$VAR/seller-clock")" \
	    --rate-scale "$SYNCLINE_SPAPI_RATE_SCALE" \
	    --log "$LOG/sandbox-calls.log" "${more[@]}"
}

part_ready_sandbox() {
	"${HTTP[@]}" -fo /dev/null "$SANDBOX_URL/_control/state" 2>/dev/null ||
	    return 1
	case " $SANDBOX_ARGS " in *" --clock"*) return 0 ;; esac
	"${HTTP[@]}" -fo /dev/null -d "{\"now\":\"$(date -u +%FT%TZ)\"}" \
	    "$SANDBOX_URL/_control/clock"
}

part_start_runner() {
	rm -f "${SYNCLINE_RUNNER_LISTEN#ipc://}"
	proc_launch runner '' "$SYNCLINE_BUILD/syncline-runner"
}

part_ready_runner() {
	case $SYNCLINE_RUNNER_LISTEN in
	ipc://*) [ -S "${SYNCLINE_RUNNER_LISTEN#ipc://}" ] ;;
	esac
}

# runner_other NAME COMMAND... - with the settings of that further runner.
runner_other() {
	local -x SYNCLINE_RUNNER_NAME=$1
	local -x SYNCLINE_RUNNER_DIR=$RUN/$1
	local -x SYNCLINE_RUNNER_LISTEN=ipc://$RUN/$1/runner.sock
	shift
	"$@"
}

start_runner_other() {
	rm -f "${SYNCLINE_RUNNER_LISTEN#ipc://}"
	proc_launch "$1" '' "$SYNCLINE_BUILD/syncline-runner"
}

part_start_fcgi() {
	rm -f "$SYNCLINE_FCGI_SOCKET"
	proc_launch fcgi '' "$SYNCLINE_BUILD/syncline-fcgi"
}

part_ready_fcgi() {
	[ -S "$SYNCLINE_FCGI_SOCKET" ] || return 1
	proc_pid nginx || return 0
	part_ready_nginx
}

nginx_render() {
	local text temp=$VAR/nginx html=$ROOT/nginx/html user='' zone='' limit=''
	local files workers spare keep
	if ! reachable "$WEB_USER" "$temp"; then
		temp=$RUN/nginx
	fi
	if [ -n "$WEB_USER" ]; then
		user="user $WEB_USER;"
		chmod 711 "$temp"
		if [ -d "$html" ] && ! reachable "$WEB_USER" "$html"; then
			rm -rf "$RUN/nginx/html"
			cp -r "$html" "$RUN/nginx/html"
			html=$RUN/nginx/html
		fi
	fi
	files=$(ulimit -Hn)
	case $files in
	unlimited) files=65536 ;;
	*) [ "$files" -le 65536 ] || files=65536 ;;
	esac
	workers=$(nproc)
	[ "$workers" -le 4 ] || workers=4
	# One handler process may be away, being replaced.
	spare=$((SYNCLINE_FCGI_PROCESSES - 1))
	[ "$spare" -ge 1 ] || spare=1
	spare=$((spare * SYNCLINE_FCGI_THREADS))
	keep=$((spare / 2 / workers))
	[ "$keep" -ge 1 ] || keep=1
	if [ "$LIMIT_REQ" != 0 ]; then
		zone="limit_req_zone \$binary_remote_addr zone=clients:4m"
		zone="$zone rate=${LIMIT_REQ}r/s; limit_req_status 429;"
		limit="limit_req zone=clients burst=$((LIMIT_REQ * 2)) nodelay;"
	fi

	text=$(<"$ROOT/nginx/nginx.conf.template")
	text=${text//@USER@/"$user"}
	text=${text//@TEMP@/"$temp"}
	text=${text//@LOG@/"$LOG"}
	text=${text//@HTML@/"$html"}
	text=${text//@PORT@/"$PORT"}
	text=${text//@WORKERS@/"$workers"}
	text=${text//@FILES@/"$files"}
	text=${text//@CONNECTIONS@/"$((files / 2))"}
	text=${text//@FCGI_SOCKET@/"$SYNCLINE_FCGI_SOCKET"}
	text=${text//@MAX_CONNS@/"$spare"}
	text=${text//@KEEPALIVE@/"$keep"}
	text=${text//@LIMIT_ZONE@/"$zone"}
	text=${text//@LIMIT@/"$limit"}
	printf '%s\n' "$text" >"$VAR/nginx/nginx.conf"
}

part_start_nginx() {
	nginx_render
	proc_launch nginx '' /usr/sbin/nginx -p "$RUN/nginx/" \
	    -c "$VAR/nginx/nginx.conf" -e "$LOG/nginx-error.log"
}

# Any answer will do: whether the handlers are well is not nginx's to say,
# unless they are there.
part_ready_nginx() {
	local code
	code=$("${HTTP[@]}" -o /dev/null -w '%{http_code}' \
	    "$BASE_URL/healthz" 2>/dev/null) || return 1
	[ "$code" = 200 ] || ! proc_pid fcgi
}

# part_start PART - starts it unless it runs.
part_start() {
	if proc_pid "$1"; then
		return 0
	fi
	# What a killed one left would hold its port or its files.
	strays_end "$1" || die "what is left of $1 cannot be ended"
	find "$LOG" -name "$1*.log" -size +64M -exec mv {} {}.old \;
	: >>"$LOG/$1.log"
	case $1 in
	runner-*)
		part_folder "$1"
		runner_other "$1" start_runner_other "$1"
		;;
	*) "part_start_$1" ;;
	esac
	STARTED="$1 $STARTED"
}

# part_wait PART - until it is ready; shows its last words if it never is.
part_wait() {
	local bound=20 log=$LOG/$1.log
	local -a ready=("part_ready_$1")
	case $1 in
	postgres) bound=120 ;; # it may have to recover
	nginx) log=$LOG/nginx-error.log ;;
	runner-*) ready=(runner_other "$1" part_ready_runner) ;;
	esac
	local end=$((SECONDS + bound)) seen=
	while ! "${ready[@]}"; do
		# A process writes down its id itself, in a moment.
		if proc_pid "$1"; then
			seen=1
		elif [ -n "$seen" ] || [ "$SECONDS" -gt $((end - bound + 2)) ]; then
			part_failed "$1" "$log" "ended at once"
			return 1
		fi
		if [ "$SECONDS" -gt "$end" ]; then
			part_failed "$1" "$log" "is not ready after $bound s"
			return 1
		fi
		nap 0.03
	done
}

part_failed() {
	say "syncline: $1 $3; the end of $2:"
	tail -n 20 "$2" | sed 's/^/    /'
} >&2

# part_stop PART [SIGNAL] - PostgreSQL's quick and clean way is SIGINT.
part_stop() {
	local signal=TERM bound=20
	case $1 in
	postgres) signal=INT bound=30 ;;
	nginx) bound=5 ;;
	esac
	proc_stop "$1" "${2:-$signal}" "$bound"
}

# schema_make brings the database to the schema of this tree.
schema_make() {
	"$PG_BIN/psql" -Xq -v ON_ERROR_STOP=1 -d "$ADMIN_DB" <<-'SQL' || return 1
	SELECT 'CREATE ROLE syncline_owner LOGIN'
	WHERE to_regrole('syncline_owner') IS NULL \gexec
	SELECT 'CREATE ROLE syncline_app LOGIN'
	WHERE to_regrole('syncline_app') IS NULL \gexec
	SELECT 'CREATE ROLE syncline_reader NOLOGIN'
	WHERE to_regrole('syncline_reader') IS NULL \gexec
	SELECT 'CREATE DATABASE syncline OWNER syncline_owner'
	WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'syncline')
	\gexec
	SQL
	sh "$ROOT/sql/migrate.sh" "$OWNER_DB" || return 1
	"$PG_BIN/psql" -Xq -v ON_ERROR_STOP=1 -d "$OWNER_DB" \
	    -f "$ROOT/sql/roles.sql"
}

# port_taken PORT - whether something of others listens there.
port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

ports_check() {
	if ! proc_pid nginx && port_taken "$PORT"; then
		die "port $PORT is taken; choose another with PORT=n"
	fi
	if ! proc_pid sandbox && port_taken "$SANDBOX_PORT"; then
		die "port $SANDBOX_PORT (for the sandbox seller, by default" \
		    "PORT+1) is taken; choose another with PORT=n"
	fi
}
