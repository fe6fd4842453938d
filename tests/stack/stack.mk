# stack.mk - the targets that start, stop and show a system.
#
# First the packages, then the programs, by a make of its own as pkg-config
# knows more by then, then the script that does the work.

STACK = VAR="$(VAR)" PORT="$(PORT)" SYNCLINE_BUILD="$(CURDIR)/$(B)" \
	tests/stack/stack
# One of several at a time builds; the others find it done.
BUILD_ALL = mkdir -p build && flock build/lock sh -c ' \
	$(MAKE) -q all >/dev/null 2>&1 || { \
	    echo "building in $(B)"; \
	    $(MAKE) -s --no-print-directory \
	        $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) all; }'
# The shell has a USER too, but `make token` is not about that one.
TOKEN_USER = $(if $(findstring command,$(origin USER)),$(USER))

.PHONY: run up down status logs token psql import
run:
	@tests/stack/packages build run
	@$(BUILD_ALL)
	@$(STACK) run

up:
	@tests/stack/packages build run
	@$(BUILD_ALL)
	@$(STACK) up
	@$(STACK) connect

down logs psql:
	@$(STACK) $@

status:
	@$(STACK) status || true

token:
	@$(STACK) token "$(TOKEN_USER)" "$(ROLE)"

import:
	@test -n "$(FROM)" || { echo 'say FROM=schema, of the older system'; exit 2; }
	@$(STACK) import "$(FROM)"
