# brokersync: every command a developer or a stranger needs. Needs Python 3.11 or newer and GNU make.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
CRM ?= hubspot
STAMP := .venv/.brokersync-ready
# pip must not ask anybody anything, nor follow a user site.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PYTHONNOUSERSITE := 1
# Setup compiles nothing: what is used is compiled by its first use, and has to be kept then.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup check test test-all bench bench-million demo build docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv with everything pinned by hash (done once)
	@:

demo: setup ## two months of a simulated brokerage flow into a simulated HubSpot (or CRM=salesforce, CRM=both)
	@$(BIN)/brokersync demo --crm $(CRM)

test: setup ## all tests but the slow ones, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" -q -rs

test-all: setup ## all tests
	@$(BIN)/python -m pytest -n auto --dist worksteal -q -rs

check: setup ## lint, format, types, import layers, docs against code
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }
	@$(BIN)/python -m pytest -q tests/test_docs.py tests/rules/test_docs.py tests/test_lint_rules.py

bench: setup ## measure; writes benchmarks/results.json
	@$(BIN)/python -m benchmarks

bench-million: setup ## measure at 1,000,000 clients (about an hour, 40 GB of disk); same results file
	@$(BIN)/python -m benchmarks --only million

build: setup ## the wheel, into dist/
	@$(BIN)/python -m hatchling build -t wheel

docs: setup ## write the generated tables of docs/ anew
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m tests.errors.page

clean: ## remove .venv, dist and caches
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "brokersync needs Python 3.11 or newer, found: $$($(PYTHON) --version 2>&1)." \
	       "Install it, or say where it is: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "this Python cannot make virtual environments: install its venv module" \
	       "(Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up .venv (once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@
