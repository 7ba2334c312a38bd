# Every target sets up .venv first, which takes a moment when all is there. Needs Python 3.11 or newer.
PYTHON ?= python3
# TORCH=cpu|default|auto: see README. ARGS: handed on, as in make test ARGS="-k frontier".
export TORCH NEWEST
SETUP := @$(PYTHON) -m tools.setup
BIN := .venv/bin

.DEFAULT_GOAL := help
TIMES ?= 1
MINUTES ?= 30
.PHONY: help setup demo test drills soak bench check lock sbom clean

# Tests start hundreds of processes. Where byte code is not to be kept, each would compile Batchord anew.
test test-% drills soak: export PYTHONDONTWRITEBYTECODE :=

help:  ## What there is
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /  make \1\t/; s/%/NAME/g' | expand -t 16

setup:  ## Install what Batchord runs with into .venv
	$(SETUP) run

demo:  ## See it work: real models over real records, on servers of its own (add TORCH=cpu to avoid CUDA packages)
	$(SETUP) demo
	@$(BIN)/python -m demo $(ARGS)

test:  ## Run all tests: make test ARGS="-k frontier"; ARGS="-m fast": those that take three minutes together
	$(SETUP) test
	@$(BIN)/pytest $(ARGS)

test-%:  ## Run the tests in tests/needs/%, which need what make cannot install
	$(SETUP) test
	@$(BIN)/pytest tests/needs/$* $(ARGS)

drills:  ## Kill, stop and cut everything off, TIMES times: make drills TIMES=20 ARGS="-k redis"
	$(SETUP) test
	@$(BIN)/python -m tests.drills --times $(TIMES) $(ARGS)

soak:  ## Write, tick and die for MINUTES; then count: make soak MINUTES=30 ARGS="--pooler --seed 7" (needs PgBouncer)
	$(SETUP) test
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

bench:  ## Measure speed against the bare loop: make bench ARGS="no-op --times 1"; PEERS=1: and against other systems
	$(SETUP) bench
	$(if $(PEERS),@$(PYTHON) -m tools.setup peers)
	@$(BIN)/python -m benchmarks $(if $(PEERS),--peers) $(ARGS)

check:  ## Lint, formatting, types, layers
	$(SETUP) check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:  ## Write the lock files in requirements/ after a change of pyproject.toml; NEWEST=1: with the newest versions
	$(SETUP) lock

sbom:  ## Write what Batchord is made of into build/batchord.cdx.json (CycloneDX)
	$(SETUP) sbom

clean:  ## Stop the local servers; remove .venv, their data (.batchord) and all caches
	@if [ -x $(BIN)/batchord ] && [ -d .batchord ]; then $(BIN)/batchord down; fi
	rm -rf .venv .venv-peers .venv-sbom .batchord .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
