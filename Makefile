# Every target sets up .venv first. If .venv is complete, this takes a moment. Needs Python 3.11 or newer.
PYTHON ?= python3
# TORCH=cpu|default|auto: see README. ARGS: passed on, as in make test ARGS="-k frontier".
export TORCH NEWEST
SETUP := @$(PYTHON) -m tools.setup
BIN := .venv/bin

.DEFAULT_GOAL := help
TIMES ?= 1
MINUTES ?= 30
SEEDS ?= 1000
.PHONY: help setup demo test pictures drills soak simulate bench check lock sbom clean

# Tests start hundreds of processes. Without stored byte code, each would compile Batchord again.
test test-% drills soak: export PYTHONDONTWRITEBYTECODE :=

help:  ## List the targets
	@grep -E '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /  make \1\t/; s/%/NAME/g' | expand -t 16

setup:  ## Install Batchord and the packages that it needs into .venv
	$(SETUP) run

demo:  ## Watch Batchord work: real models, real records, its own servers (add TORCH=cpu to avoid CUDA packages)
	$(SETUP) demo
	@$(BIN)/python -m demo $(ARGS)

test:  ## Run all tests; some: make test ARGS="-k frontier"; those that take three minutes together: ARGS="-m fast"
	$(SETUP) test
	@$(BIN)/pytest $(ARGS)

test-%:  ## Run the tests in tests/needs/%, which need programs that make cannot install
	$(SETUP) test
	@$(BIN)/pytest tests/needs/$* $(ARGS)

pictures: ARGS = tests/pictures
pictures:  ## Make the pictures of README and docs anew
	$(SETUP) test
	@$(BIN)/pytest $(ARGS)
	@for name in pipelines run runs record; do cp build/browser/picture-$$name.png docs/pictures/$$name.png; done

drills:  ## Run the drills, which kill and stop everything, TIMES times: make drills TIMES=20 ARGS="-k redis"
	$(SETUP) test
	@$(BIN)/python -m tests.drills --times $(TIMES) $(ARGS)

soak:  ## Inject random faults for MINUTES, then count: make soak MINUTES=30 ARGS="--seed 7" (--pooler: with PgBouncer)
	$(SETUP) test
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

simulate:  ## Play SEEDS simulated schedules of faults, each repeatable: make simulate SEEDS=1 ARGS="--first 41"
	$(SETUP) test
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

bench:  ## Compare the speed with the bare loop: make bench ARGS="no-op --times 1"; PEERS=1: also with other systems
	$(SETUP) bench
	$(if $(PEERS),@$(PYTHON) -m tools.setup peers)
	@$(BIN)/python -m benchmarks $(if $(PEERS),--peers) $(ARGS)

check:  ## Check lint, formatting, types and layers
	$(SETUP) check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:  ## Write the lock files in requirements/ after a change of pyproject.toml; NEWEST=1: take the newest versions
	$(SETUP) lock

sbom:  ## Write the bill of materials into build/batchord.cdx.json (CycloneDX)
	$(SETUP) sbom

clean:  ## Stop the local servers; remove .venv, their data (.batchord) and all caches
	@if [ -x $(BIN)/batchord ] && [ -d .batchord ]; then $(BIN)/batchord down; fi
	rm -rf .venv .venv-peers .venv-sbom .batchord .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
