#!/bin/sh
# embed_text.sh FILE NAME - prints C source that holds the file's text.
#
# As numbers, since a compiler may bound the length of a string literal.
set -eu
echo "/* Made by fcgi/embed_text.sh from $1: do not edit. */"
echo "#include \"fcgi/openapi.h\""
echo "const char $2[] = {"
od -An -v -tu1 "$1" | sed 's/^ *//; s/  */,/g; s/$/,/'
echo "0 };"
