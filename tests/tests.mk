# tests.mk - the targets that test.
#
#   make unit           test programs in C; UNIT=test_db picks one
#   make integration    whole systems; T='-k word' is handed to pytest
#   make sandbox-test   the stand-in seller itself
#   make fuzz-corpus    what fuzzing has found interesting, once more
#   make fuzz           a minute of fuzzing each; FUZZ_SECONDS=n for longer
#   make check          all of it, with gcc, clang and sanitizers
#   make bench          measurements
#
# Each ends with a line "N passed, N failed" and says what it leaves out.

# Sanitizers report into files, as much runs in the background; whoever runs
# tests looks there afterwards.  Nothing is suppressed.
REPORTS := $(CURDIR)/$(B)/reports
SANITIZERS := SANITIZER_REPORTS="$(REPORTS)" \
	ASAN_OPTIONS=detect_stack_use_after_return=1:log_path=$(REPORTS)/asan \
	UBSAN_OPTIONS=print_stacktrace=1:log_path=$(REPORTS)/ubsan \
	TSAN_OPTIONS=second_deadlock_stack=1:log_path=$(REPORTS)/tsan

# Amazon's models and examples, where they lie beside the project.
ifneq ($(wildcard ../shared/data),)
export SYNCLINE_SHARED_DATA ?= $(abspath ../shared/data)
endif

.PHONY: unit integration sandbox-test fuzz-corpus fuzz check bench
unit: unit-programs
	@$(SANITIZERS) tests/stack/reports tests/stack/unit \
	    $(if $(UNIT),$(UNIT:%=$(B)/unit/%),$(UNIT_BIN))

integration: all
	@$(SANITIZERS) SYNCLINE_BUILD=$(CURDIR)/$(B) SYNCLINE_SAN=$(SAN) \
	    tests/stack/reports tests/stack/pytest tests/integration $(T)

sandbox-test: $(B)/sandbox-seller
	@$(SANITIZERS) SANDBOX_SELLER=$(CURDIR)/$(B)/sandbox-seller \
	    tests/stack/reports tests/stack/pytest \
	    tests/sandbox/test_sandbox.py $(T)

fuzz-corpus: fuzz-programs
	@$(SANITIZERS) tests/stack/reports tests/fuzz/corpus.sh $(FUZZ_BIN)

# FUZZ_SECONDS each, with clang's libFuzzer; new finds stay in build/.
FUZZ_SECONDS := 60
fuzz:
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined FUZZER=1 \
	    fuzz-programs
	@$(SANITIZERS) tests/fuzz/fuzz.sh $(FUZZ_SECONDS) \
	    $(FUZZ_SRC:tests/fuzz/%.c=build/clang-address-undefined-fuzzer/fuzz/%)

check:
	@tests/stack/check

bench:
	@tests/stack/packages build run bench
	@$(BUILD_ALL)
	@SYNCLINE_BUILD=$(CURDIR)/$(B) /usr/bin/python3 tests/bench/bench.py
