# shellcheck shell=bash
# demo.sh - a user's way through the system, from a token to the counts.

TOKEN_DAYS=30

base64url() {
	openssl base64 -A | tr '+/' '-_' | tr -d '='
}

# hmac_sha256 FILE - of what comes in, with the key in FILE (up to 64 bytes).
# By hand, as openssl would want the key on its command line, for all to see.
hmac_sha256() {
	local hex inner='' outer='' i byte
	hex=$(od -An -v -tx1 "$1" | tr -d ' \n')
	[ "${#hex}" -le 128 ] || die "$1 is longer than 64 bytes"
	for ((i = 0; i < 128; i += 2)); do
		byte=${hex:i:2}
		byte=$((16#${byte:-00}))
		printf -v inner '%s\\x%02x' "$inner" $((byte ^ 0x36))
		printf -v outer '%s\\x%02x' "$outer" $((byte ^ 0x5c))
	done
	{
		printf '%b' "$outer"
		{
			printf '%b' "$inner"
			cat
		} | openssl dgst -sha256 -binary
	} | openssl dgst -sha256 -binary
}

# token_make USER [ROLE] - prints a token for that user.
token_make() {
	local user=${1:-} role=${2:-} now claims text
	[ -n "$user" ] || die "whose token? USER=x"
	[ -s "$SECRETS/jwt" ] || die "there is no system in $VAR yet"
	now=$(date +%s)
	claims=$(jq -cn --arg sub "$user" --arg role "$role" \
	    --argjson iat "$now" --argjson exp $((now + TOKEN_DAYS * 86400)) \
	    '{sub: $sub, iat: $iat, exp: $exp}
	     + if $role == "" then {} else {role: $role} end')
	text=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
	text=$text.$(printf %s "$claims" | base64url)
	printf '%s.%s\n' "$text" \
	    "$(printf %s "$text" | hmac_sha256 "$SECRETS/jwt" | base64url)"
}

# api METHOD PATH [BODY] - sets CODE and ANSWER; the caller's TOKEN says who.
api() {
	local -a body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' -d "$3")
	# The token and what is sent stay off the command line of curl.
	ANSWER=$("${HTTP[@]}" -X "$1" -w '\n%{http_code}' "${body[@]}" \
	    -H @<(printf 'Authorization: Bearer %s\n' "$TOKEN") \
	    "$BASE_URL$2") || return 1
	CODE=${ANSWER##*$'\n'}
	ANSWER=${ANSWER%$'\n'*}
}

# field FILTER - of the last answer, empty when it has none.
field() {
	jq -r "($1) // empty" <<<"$ANSWER" 2>/dev/null || true
}

api_failed() {
	die "$1: $CODE $(field '.message // .error')"
}

connect() {
	local TOKEN
	TOKEN=$(token_make "$1")
	api PUT /api/v1/connections/amazon '{"provider":"spapi",
	    "label":"Sandbox seller","region":"na",
	    "refreshToken":"Atzr|sandbox-SELLER1"}' ||
	    die "$BASE_URL does not answer"
	case $CODE in
	2??) say "$1 is connected to the sandbox seller" ;;
	*) api_failed "connecting $1" ;;
	esac
}

# sync_show USER - starts a sync, or joins the one that runs, and shows how it
# moves and what came of it.
sync_show() {
	local TOKEN id
	TOKEN=$(token_make "$1")
	api POST /api/sync/start '{}' || die "$BASE_URL does not answer"
	id=$(field '.syncId // .existingSyncId')
	case $CODE in
	2??) say "sync $id started" ;;
	409) say "sync $id runs already" ;;
	*) api_failed "starting a sync" ;;
	esac
	[ -n "$id" ] || api_failed "starting a sync"
	sync_follow "$id"
	sync_counts "$id"
	[ "$STATE" = completed ]
}

# sync_follow ID - a line that moves on a terminal, else a line now and then.
sync_follow() {
	local failures=0 line shown='' columns last=-9
	STATE=running
	while [ "$STATE" = running ]; do
		if api GET "/api/sync/status/$1" && [ "$CODE" = 200 ]; then
			failures=0
		else
			failures=$((failures + 1))
			[ "$failures" -lt 40 ] || die "the sync cannot be seen" \
			    "any more: ${CODE:-no answer} $(field .message)"
			nap 0.25
			continue
		fi
		STATE=$(field '.state // .status')
		line=$(field '[
		    ((.progress // 0) | floor | tostring | "     "[length:] + .),
		    "% ", (.phase // ""), "  ",
		    ([.streams[]? | select(.read > 0) | "\(.name) \(.read)"]
		     | join(", "))] | join("") | rtrimstr("  ")')
		if [ "$line" = "$shown" ]; then
			:
		elif [ -t 1 ]; then
			columns=$(tput cols 2>/dev/null || echo 80)
			printf '\r\033[K%s' "${line:0:columns - 1}"
			shown=$line
		elif [ $((SECONDS - last)) -ge 2 ] || [ "$STATE" != running ]; then
			say "$line"
			shown=$line
			last=$SECONDS
		fi
		[ "$STATE" != running ] || nap 0.25
	done
	[ ! -t 1 ] || say
	say "$STATE: $(field .message)"
}

sync_counts() {
	api GET "/api/sync/results/$1" || CODE='no answer'
	[ "$CODE" = 200 ] || api_failed "the counts of $1"
	say
	jq -r '. as $all
	    | def text: if . == null then "unknown" else tostring end;
	    ["stream", "read", "new", "changed", "same", "in the tables"],
	    (.streams[]? | [.name, (.read, .inserted, .updated, .unchanged,
	        $all.counted[.name] | text)])
	    | @tsv' <<<"$ANSWER" | awk -F '\t' '{
		printf "%-16s", $1
		for (i = 2; i <= NF; i++)
			printf "%15s", $i
		print ""
	}'
	jq -r '"claims found: \(.counted.claims // "unknown"); " +
	    if .verified then "the counts agree with the tables"
	    elif .verified == false then "THE COUNTS DO NOT AGREE WITH THE TABLES"
	    else "the tables cannot tell any more" end' <<<"$ANSWER"
}

# run - everything in one go, and its end with the end of this.
run() {
	local result=0
	trap 'run_interrupted 130' INT
	trap 'run_interrupted 143' TERM HUP
	trap run_end EXIT
	locked up
	connect "$DEMO_USER"
	# In a shell of its own: what fails there still leaves the system up.
	(sync_show "$DEMO_USER") || result=1
	run_hints
	[ -z "${RUN_ONCE:-}" ] || exit "$result"
	run_wait
}

# Ctrl-C also ends the command of the moment, whose failure may be what ends
# this shell, before it looks at the signal; then it does so while ending.
run_interrupted() {
	INTERRUPTED=$1
	[ -n "${ENDING:-}" ] || exit "$1"
}

run_end() {
	local result=$?
	ENDING=1
	nap 0
	trap '' INT TERM HUP
	trap - EXIT
	say
	say "stopping"
	locked down || INTERRUPTED=1 result=1
	# Ctrl-C is how it is meant to end.
	[ "${INTERRUPTED:-}" != 130 ] || result=0
	exit "$result"
}

run_hints() {
	local token
	token=$(token_make "$DEMO_USER")
	say
	say "Syncline is at $BASE_URL (logs in $LOG).  Try, as $DEMO_USER:"
	say
	say "  curl -s -H 'Authorization: Bearer $token'" \
	    "$BASE_URL/api/sync/status"
	say "  curl -s -X POST -H 'Authorization: Bearer $token'" \
	    "$BASE_URL/api/sync/start"
	say "  curl -s -H 'Authorization: Bearer $token'" \
	    "$BASE_URL/api/sync/history"
	say
}

# run_wait tells of parts that end, and leaves when all did.
run_wait() {
	local part told=' '
	say "Ctrl-C stops it."
	while running; do
		for part in $PARTS; do
			if proc_pid "$part"; then
				told=${told/ $part / }
			elif [ "$told" = "${told/ $part /}" ]; then
				say "$part does not run any more;" \
				    "see $LOG/$part.log"
				told="$told$part "
			fi
		done
		nap 1
	done
}
