# `make` lists the targets. Everything is installed into .venv; nothing else on the machine is touched, save that `test`
# asks apt for Chromium and GDAL where they are missing.
.DEFAULT_GOAL := help
.PHONY: help demo test check fuzz format bench bench-detection clean reference requirements screenshots

PYTHON := .venv/bin/python
# Compiled modules are kept: a test run or a demo starts hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=
ARGS ?=

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 24

demo: ## Run a simulated city on this machine and print its address (ARGS="--fresh" starts over)
	@scripts/setup simulators
	@exec .venv/bin/lifeline demo $(ARGS)

test: ## Run every test: unit, architecture, integration, acceptance (ARGS="-k sewer" runs some)
	@scripts/setup dev
	@# The tests of a new clone are compiled once for all workers, while apt downloads.
	@[ -d tests/unit/__pycache__ ] || $(PYTHON) -m pytest --collect-only -q tests >/dev/null & scripts/clients; wait
ifeq ($(strip $(ARGS)),)
	$(PYTHON) -m pytest --numprocesses 3 --dist loadfile tests/unit tests/architecture tests/integration
	$(PYTHON) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder tests/acceptance
else
	$(PYTHON) -m pytest $(ARGS)
endif

check: ## Format, lint, types, import contracts, and docs in step with the code
	@scripts/setup dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target types tidy contracts documents

.PHONY: types tidy contracts documents
types: # the longest, so it begins first
	$(PYTHON) -m mypy

tidy:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

contracts:
	.venv/bin/lint-imports

documents:
	$(PYTHON) -m pytest tests/architecture

fuzz: ## Search for examples that break a property or the API: other ones each time (ARGS="-k solver" searches some)
	@scripts/setup dev
	HYPOTHESIS_PROFILE=search $(PYTHON) -m pytest -m hypothesis --numprocesses 2 tests/unit $(ARGS)
	LIFELINE_FUZZ_EXAMPLES=200 $(PYTHON) -m pytest --numprocesses 2 tests/integration/test_api_contract.py $(ARGS)

format: ## Format and mend what can be mended by itself
	@scripts/setup dev
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

bench: ## Measure speed and memory (ARGS="ingest" runs one of them)
	@scripts/setup dev
	$(PYTHON) -m tests.benchmarks $(ARGS)

reference: ## Write the pages of docs/reference that the code can tell: settings, commands, metrics
	@scripts/setup dev
	$(PYTHON) scripts/reference.py

requirements: ## Pin the newest packages that pyproject.toml allows, with hashes
	@scripts/setup dev
	@scripts/requirements

bench-detection: ## What the detectors find in simulated cities and public data (20 seeds: LIFELINE_BENCH_SEEDS=3 for a look)
	$(PYTHON) -m tests.benchmarks detection

screenshots: ## Pictures of every view into docs/images, from a demo that runs (`make demo` in another terminal)
	@scripts/setup dev
	@scripts/clients
	$(PYTHON) scripts/screenshots.py

clean: ## Remove what was built, .venv included; the demo's data stays (lifeline demo --fresh)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
