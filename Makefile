# The commands people type. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-sensors test test-long bench lint unit ports clean
# With -j too: what lints and tests needs the set-up before it.
.NOTPARALLEL:
KEEP ?=
PICTURE ?=
SECONDS ?= 60
PY := .venv/bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install and build what is missing (again: nothing to do, under a second)
	@scripts/setup.sh

demo: ## from nothing to scored transactions, live: KEEP=1 leaves the stack up, SECONDS=60 says how long it streams, PICTURE=FILE saves the page
	@scripts/setup.sh --for demo
	@$(PY)/millrace demo --seconds $(SECONDS) $(if $(KEEP),--keep) $(if $(PICTURE),--picture "$(PICTURE)")

demo-sensors: ## from nothing to alerts of simulated sensors, live: KEEP and SECONDS as above
	@scripts/setup.sh --for demo
	@$(PY)/millrace demo-sensors --seconds $(SECONDS) $(if $(KEEP),--keep)

test: setup ports ## everything: lint, Java tests, unit and integration tests with coverage
	@scripts/test.sh

test-long: setup ports ## minutes more: kills of the lake's job, several partitions, PostgreSQL …
	JAVA_HOME=$$(scripts/java_home.sh) $(PY)/pytest tests/integration -m long --durations=0

# First of all: a taken port would otherwise be told after minutes, once for every test that wants the stack.
ports:
	@$(PY)/python -m millrace.stack.harness

unit: ## the fast tests only, no stack
	@scripts/setup.sh
	@scripts/unit.sh

lint: ## ruff, mypy --strict, import rules, generated files, schema compatibility
	$(PY)/ruff check .
	$(PY)/ruff format --check .
	$(PY)/mypy
	$(PY)/lint-imports
	$(PY)/python scripts/generate.py --check
	$(PY)/python scripts/compose.py --check
	$(PY)/python scripts/dashboards.py --check
	$(PY)/python scripts/env.py --check
	$(PY)/python scripts/check_schemas.py

bench: setup ## the figures of the README, in one run: fails when one is missed or a benchmark failed
	$(PY)/python -m benchmarks.run

clean: ## stop the stack, remove its state, the environments and what was built
	-@$(PY)/millrace reset --yes
	rm -rf .venv .venv-flink .venv-airflow .venv-peers .build processing/kernel/target .coverage .mypy_cache .pytest_cache .ruff_cache
