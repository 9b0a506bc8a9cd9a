# `make` alone lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help demo build test test-all test-sdk test-deps lint deny doc fuzz fuzz-check bench gates examples

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# What is compiled from nothing has nothing to be incremental about, which costs a tenth of the time.
ifeq ($(wildcard $(TARGET)/debug/incremental),)
export CARGO_INCREMENTAL ?= 0
endif
# The runner with a summary of all binaries, where it is installed.
ifeq ($(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes),yes)
BUILD_TESTS = $(CARGO) nextest run --locked --no-run
# One more than there are processors: tests wait for timeouts and programs as much as they compute.
RUN_TESTS = $(CARGO) nextest run --locked --test-threads $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
else
BUILD_TESTS = $(CARGO) test --locked --no-run
RUN_TESTS = $(CARGO) test --locked --lib --bins --tests --examples
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Watch unmodified programs use a credential that none of them holds
	@tests/apt.sh examples/demo/apt.txt
	@$(CARGO) build --locked --quiet --bin nexus
	@python3 examples/demo/demo.py --nexus $(TARGET)/debug/nexus

build: ## Build the release binary
	$(CARGO) build --locked --release

# What the tests need is fetched while they compile: the one waits for the network, the other for processors.
test: ## Run every test, doc tests included
	@tests/apt.sh tests/apt.txt
	@($(TEST_DEPS)) & needs=$$!; \
		$(BUILD_TESTS); built=$$?; \
		wait $$needs && exit $$built
	$(CARGO) test --locked --quiet --doc
	$(RUN_TESTS)

test-all: ## Run every test in its long form, with every client there is
	tests/install.sh all
	tests/sdk/install.sh all
	NEXUS_TEST_ALL=1 NEXTEST_PROFILE=all $(MAKE) test

test-sdk: ## Run every vendor's SDK there is a program of, against stub services
	@tests/sdk/install.sh all
	NEXUS_TEST_ALL=1 $(CARGO) test --locked --test sdk -- --nocapture --test-threads 1

TEST_DEPS = tests/install.sh quick && tests/sdk/install.sh fast

test-deps: ## Install what the tests need
	@$(TEST_DEPS)

lint: ## Check format, lints, licences and banned crates
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(MAKE) deny

deny: ## Check licences, banned crates and sources
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --locked check licenses bans sources; else python3 .ci/deny.py; fi

doc: ## Build the library's documentation
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

fuzz-check: ## Check that the fuzz targets build; `make test` runs their corpora
	cp Cargo.lock fuzz/Cargo.lock
	$(CARGO) check --manifest-path fuzz/Cargo.toml --target-dir $(TARGET)

# What cargo-fuzz would pass, without the sanitizers that stable Rust doesn't have: panics and broken promises are what is looked for.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
HOST := $(shell rustc -vV | sed -n 's/^host: //p')

fuzz: ## Run each fuzz target for FUZZ_SECONDS (60), guided by coverage
	cp Cargo.lock fuzz/Cargo.lock
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --manifest-path fuzz/Cargo.toml --target-dir $(TARGET)/fuzz --target $(HOST)
	for name in $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))); do \
		mkdir -p $(TARGET)/fuzz/found/$$name && \
		$(TARGET)/fuzz/$(HOST)/debug/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=20 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(TARGET)/fuzz/found/$$name- $(TARGET)/fuzz/found/$$name fuzz/corpus/$$name || exit 1; \
	done

bench: ## Measure what is claimed to be fast
	$(CARGO) bench --locked --bench hot_path

GUNGRAUN := 0.20.0

gates: ## Count the instructions of what every request does: more than a twentieth above the last count is an error
	tests/apt.sh benches/apt.txt
	$(TARGET)/tools/bin/gungraun-runner --version 2>/dev/null | grep -qF $(GUNGRAUN) || \
		$(CARGO) install gungraun-runner --locked --version $(GUNGRAUN) --debug --root $(TARGET)/tools
	PATH="$(abspath $(TARGET))/tools/bin:$$PATH" $(CARGO) bench --locked --profile gates --bench instructions

examples: ## Build the examples
	$(CARGO) build --locked --examples
