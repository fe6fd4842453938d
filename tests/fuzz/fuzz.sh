#!/bin/sh
# fuzz.sh SECONDS PROGRAM ... - libFuzzer for a while over each target.  What
# it finds on the way stays beside the program; what crashes it is named.
set -u
cd "$(dirname "$0")/../.." || exit 2
seconds=$1
shift
failed=0
for program in "$@"; do
	name=$(basename "$program")
	found=$program.found
	mkdir -p "$found"
	echo "== $name, $seconds s"
	"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
	    -print_final_stats=1 -artifact_prefix="$found/crash-" "$found" \
	    "tests/fuzz/corpus/${name#fuzz_}" 2>"$program.log" || {
		failed=$((failed + 1))
		echo "$name: failed, see $program.log"
	}
	grep -E 'stat::number_of_executed_units|stat::average_exec' \
	    "$program.log"
done
[ "$failed" = 0 ]
