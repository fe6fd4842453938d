#!/bin/sh
# corpus.sh PROGRAM ... - each fuzz target over the inputs kept for it.
set -u
cd "$(dirname "$0")/../.." || exit 2
passed=0
failed=0
for program in "$@"; do
	name=$(basename "$program")
	dir=tests/fuzz/corpus/${name#fuzz_}
	if [ ! -d "$dir" ]; then
		echo "$name: no corpus in $dir"
		failed=$((failed + 1))
		continue
	fi
	if timeout 300 "$program" "$dir"/* >/dev/null; then
		echo "$name: $(find "$dir" -type f | wc -l) inputs"
		passed=$((passed + 1))
	else
		echo "$name: failed"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
