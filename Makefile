# Syncline.  `make run` tries it out, `make check` tests it all.
#
#   make              build the programs (debug info, optimised)
#   make run          install what is missing, build, start everything on
#                     loopback, run a first sync; Ctrl-C stops it
#   make up|down|status|logs|psql      the same system in the background
#   make token USER=x [ROLE=admin]     a token for it
#   make import FROM=schema            bring an older system's rows over
#   make check        every test; make unit, make integration are parts of it
#   make bench        measures, beside the machine's own limits
#   make fuzz|fmt|tidy|clean
#
# VAR=dir and PORT=n choose where a system lives and listens, so that several
# stand side by side.  SAN=address,undefined or SAN=thread builds another
# flavour in a folder of its own; CC=clang another compiler.

ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

ifneq ($(CURDIR),$(ROOT))
# Called as `make -f somewhere/Makefile`: go there, a relative VAR stays ours.
.PHONY: $(or $(MAKECMDGOALS),all)
$(firstword $(MAKECMDGOALS) all):
	@$(MAKE) --no-print-directory -C $(ROOT) $(MAKECMDGOALS) \
	    $(if $(VAR),VAR=$(abspath $(VAR)))
$(wordlist 2,99,$(MAKECMDGOALS)): $(firstword $(MAKECMDGOALS))
	@:
else

CC := gcc
FLAVOUR := $(notdir $(firstword $(CC)))
ifdef SAN
empty :=
comma := ,
FLAVOUR := $(FLAVOUR)-$(subst $(comma),-,$(SAN))
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
endif
FUZZFLAGS := -DFUZZ_MAIN
ifdef FUZZER
FLAVOUR := $(FLAVOUR)-fuzzer
SANFLAGS += -fsanitize=fuzzer-no-link
FUZZFLAGS := -fsanitize=fuzzer
endif
ifdef CHAOS
FLAVOUR := $(FLAVOUR)-chaos
CPPFLAGS += -DSYNCLINE_CHAOS
endif
B := build/$(FLAVOUR)

PKGS := json-c libpq libcurl libsodium libjwt zlib libcrypto
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS = $(shell pkg-config --libs $(PKGS))

CFLAGS := -std=c17 -O2 -g -Wall -Wextra -Wswitch-enum -Wmissing-prototypes \
	-Wshadow -Wstrict-prototypes -Wvla -Werror -fstack-protector-strong \
	-D_FORTIFY_SOURCE=2 -fPIE
ifdef SAN
CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) $(SANFLAGS)
endif
CPPFLAGS += -D_GNU_SOURCE -I. -I$(B)/gen $(PKG_CFLAGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SANFLAGS)
LDLIBS = -lnng $(PKG_LIBS) -lpthread -lm

SHARED_SRC := $(wildcard shared/*.c)
FCGI_SRC := $(wildcard fcgi/*.c)
RUNNER_SRC := $(wildcard runner/*.c runner/sources/*.c runner/load/*.c)
SANDBOX_SRC := $(wildcard tests/sandbox/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)

# Everything but the two main.c, so that tests can link any room.
SHARED_OBJ := $(SHARED_SRC:%.c=$(B)/%.o) $(B)/gen/stmt_table.o
FCGI_OBJ := $(FCGI_SRC:%.c=$(B)/%.o) $(B)/gen/openapi_text.o
RUNNER_OBJ := $(RUNNER_SRC:%.c=$(B)/%.o)
SANDBOX_OBJ := $(SANDBOX_SRC:%.c=$(B)/%.o)
FCGI_ROOMS := $(filter-out $(B)/fcgi/main.o,$(FCGI_OBJ))
RUNNER_ROOMS := $(filter-out $(B)/runner/main.o,$(RUNNER_OBJ))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

PROGRAMS := $(B)/syncline-fcgi $(B)/syncline-runner $(B)/sandbox-seller

.PHONY: all
all: $(PROGRAMS)

$(B)/syncline-fcgi: $(FCGI_OBJ) $(SHARED_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

$(B)/syncline-runner: $(RUNNER_OBJ) $(SHARED_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/sandbox-seller: $(SANDBOX_OBJ)
	$(CC) $(LDFLAGS) -o $@ $^ \
	    $(shell pkg-config --libs libmicrohttpd json-c) -lcrypto -lpthread -lm

# Statements are files; this makes the closed table of them.
$(B)/gen/stmt_table.c $(B)/gen/stmt_list.h &: sql/embed.sh $(wildcard sql/queries/*.sql)
	@mkdir -p $(B)/gen
	sh sql/embed.sh $(B)/gen sql/queries/*.sql

# The HTTP contract is a text that the handlers hand out.
$(B)/gen/openapi_text.c: fcgi/embed_text.sh fcgi/openapi.json
	@mkdir -p $(B)/gen
	sh fcgi/embed_text.sh fcgi/openapi.json openapi_text >$@.new
	mv $@.new $@

$(B)/gen/%.o: $(B)/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/%.o: %.c | $(B)/gen/stmt_list.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/unit/%: tests/unit/%.c $(SHARED_OBJ) $(FCGI_ROOMS) $(RUNNER_ROOMS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< \
	    $(FCGI_ROOMS) $(RUNNER_ROOMS) $(SHARED_OBJ) \
	    -lcmocka -lfcgi $(LDLIBS)

# The parsers of outside bytes.  Plain, they run files named on the command
# line; `make fuzz` builds them with libFuzzer in a flavour of its own.
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
$(B)/fuzz/%: tests/fuzz/%.c $(SHARED_OBJ) $(FCGI_ROOMS) $(RUNNER_ROOMS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(FUZZFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< \
	    $(FCGI_ROOMS) $(RUNNER_ROOMS) $(SHARED_OBJ) -lfcgi $(LDLIBS)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)

.PHONY: unit-programs
unit-programs: $(UNIT_BIN)

.PHONY: fmt tidy clean
fmt:
	clang-format -i $(SHARED_SRC) $(FCGI_SRC) $(RUNNER_SRC) \
	    $(SANDBOX_SRC) $(UNIT_SRC) $(FUZZ_SRC) \
	    $(wildcard shared/*.h fcgi/*.h runner/*.h runner/*/*.h \
	        tests/sandbox/*.h tests/unit/*.h)

tidy:
	clang-tidy --quiet $(SHARED_SRC) $(FCGI_SRC) $(RUNNER_SRC) -- \
	    $(CPPFLAGS) -std=c17

clean:
	rm -rf build

-include tests/tests.mk
-include tests/stack/stack.mk
-include $(shell find build/$(FLAVOUR) -name '*.d' 2>/dev/null)

endif
