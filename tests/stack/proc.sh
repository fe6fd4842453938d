# shellcheck shell=bash
# proc.sh - starting a process, knowing it again, and ending it for good.
#
# A process is known by its id together with its start time and the boot, so
# an id that was given to somebody else meanwhile is nobody of ours.  What a
# killed process left behind is found by the mark in its environment; nginx
# and PostgreSQL write over theirs and are found by their working folder.

read -r BOOT </proc/sys/kernel/random/boot_id

# A pause without a process: reading from what never has anything to say.
exec {NAP}<> <(:)
nap() {
	read -rt "$1" -u "$NAP" _ || true
}

# proc_birth PID - REPLY is when it started; fails when it is gone or dead.
proc_birth() {
	local stat
	local -a field
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	read -ra field <<<"${stat##*) }"
	case ${field[0]} in Z | X) return 1 ;; esac
	REPLY=${field[19]}
}

# proc_pid PART - REPLY is the process that runs as it.
proc_pid() {
	local pid birth boot
	read -r pid birth boot 2>/dev/null <"$RUN/$1.pid" || return 1
	[ "$boot" = "$BOOT" ] || return 1
	proc_birth "$pid" || return 1
	[ "$REPLY" = "$birth" ] || return 1
	REPLY=$pid
}

# proc_launch PART USER COMMAND... - in a session and folder of its own, with
# nothing of ours open, its output appended to its log.
proc_launch() {
	local part=$1 user=$2
	shift 2
	(
		cd "$RUN/$part" || exit 1
		trap - INT TERM HUP EXIT
		exec </dev/null >>"$LOG/$part.log" 2>&1
		proc_birth "$BASHPID"
		printf '%s %s %s\n' "$BASHPID" "$REPLY" "$BOOT" \
		    >"$RUN/$part.pid.new"
		mv "$RUN/$part.pid.new" "$RUN/$part.pid"
		export SYNCLINE_STACK="$RUN:$part"
		for fd in "/proc/$BASHPID/fd/"*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		[ "$part" != fcgi ] || umask 007
		set -- env --default-signal setsid "$@"
		[ -z "$user" ] || set -- setpriv --reuid="$user" \
		    --regid="$(id -g "$user")" --init-groups -- "$@"
		exec "$@"
	) &
}

# proc_gone PID BIRTH SECONDS - waits until it is.
proc_gone() {
	local end=$((SECONDS + $3))
	while proc_birth "$1" && [ "$REPLY" = "$2" ]; do
		[ "$SECONDS" -le "$end" ] || return 1
		nap 0.02
	done
}

# strays PART - prints the processes of it that run, its own one included.
strays() {
	local pid exe where=$RUN/$1
	grep -lszxF -- "SYNCLINE_STACK=$RUN:$1" /proc/[0-9]*/environ |
	    cut -d/ -f3 || true
	case $1 in
	postgres) where=$PGDATA exe='*/postgres' ;;
	nginx) exe='*/nginx' ;;
	*) return 0 ;;
	esac
	# Processes that end meanwhile make find complain and fail.
	{ find /proc/[0-9]*/cwd -maxdepth 0 \
	    \( -lname "$where" -o -lname "$where (deleted)" \) 2>/dev/null || true; } |
	    while IFS=/ read -r _ _ pid _; do
		find "/proc/$pid/exe" -maxdepth 0 \
		    \( -lname "$exe" -o -lname "$exe (deleted)" \) \
		    -printf "$pid\n" 2>/dev/null || true
	    done
}

# strays_end PART - ends what is left of it.  PostgreSQL's processes go by
# themselves, and in order, when the one above them is gone.
strays_end() {
	local left pid end=$SECONDS
	[ "$1" != postgres ] || end=$((SECONDS + 5))
	while left=$(strays "$1") || return 1; [ -n "$left" ]; do
		[ "$SECONDS" -lt "$end" ] || for pid in $left; do
			kill -s KILL "$pid" 2>/dev/null || true
		done
		[ "$SECONDS" -le $((end + 20)) ] || return 1
		nap 0.05
	done
}

# proc_stop PART SIGNAL SECONDS - ends it, by force when that time is over.
proc_stop() {
	local pid birth
	if proc_pid "$1"; then
		pid=$REPLY
		proc_birth "$pid" || REPLY=gone
		birth=$REPLY
		kill -s "$2" "$pid" 2>/dev/null || true
		if ! proc_gone "$pid" "$birth" "$3"; then
			say "$1 did not end on $2 in $3 s; killing it"
			kill -s KILL "$pid" 2>/dev/null || true
			proc_gone "$pid" "$birth" 20 || return 1
		fi
	fi
	strays_end "$1" || return 1
	rm -f "$RUN/$1.pid"
}
