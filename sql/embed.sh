#!/bin/sh
# embed.sh OUTDIR FILE.sql ... - makes the closed table of statements.
#
# Each file holds one statement; its name becomes STMT_<NAME>, its highest $n
# the number of parameters.  Comment lines stay in the file.
set -eu
out=$1
shift
{
	echo '/* Made by sql/embed.sh from sql/queries: do not edit. */'
	echo 'enum stmt {'
	for f in "$@"; do
		printf '\tSTMT_%s,\n' \
		    "$(basename "$f" .sql | tr '[:lower:]' '[:upper:]')"
	done
	printf '\tSTMT__MAX\n};\n'
} >"$out/stmt_list.h.new"
{
	echo '/* Made by sql/embed.sh from sql/queries: do not edit. */'
	echo '#include "shared/stmt.h"'
	echo 'const struct stmt_def stmts[STMT__MAX] = {'
	for f in "$@"; do
		name=$(basename "$f" .sql)
		awk -v name="$name" '
		/^[ \t]*--/ { next }
		{
			line = $0
			while (match(line, /\$[0-9]+/)) {
				n = substr(line, RSTART + 1, RLENGTH - 1) + 0
				if (n > max) max = n
				line = substr(line, RSTART + RLENGTH)
			}
			gsub(/\\/, "\\\\")
			gsub(/"/, "\\\"")
			text = text "\n\t    \"" $0 "\\n\""
		}
		END {
			printf "\t[STMT_%s] = { \"%s\", %d,%s },\n",
			    toupper(name), name, max, text
		}' "$f"
	done
	echo '};'
} >"$out/stmt_table.c.new"
mv "$out/stmt_list.h.new" "$out/stmt_list.h"
mv "$out/stmt_table.c.new" "$out/stmt_table.c"
