# Satu Pintu. `make run` shows it, `make test` proves it; both set up everything that they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= logical
VENV := .venv
BIN := $(VENV)/bin
NODE_CLIENT := tests/interop/node
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
CODE := keys consent idp relying_parties migrations tests $(wildcard benchmarks)

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# --- the two commands --------------------------------------------------------------------------------------------

.PHONY: run
run: $(VENV)/installed ## Run the demonstration on SQLite: the provider and two apps (ARGS="--port 9000" for other ports)
	@$(BIN)/satupintu demo run $(ARGS)

.PHONY: test
test: $(VENV)/installed-dev .ci/tools-present $(NODE_CLIENT)/node_modules/.package-lock.json ## Run every test, on SQLite and on a PostgreSQL of its own
	@$(BIN)/coverage erase
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term $(ARGS)

# --- the environment ---------------------------------------------------------------------------------------------

$(BIN)/python:
	@.ci/system-packages venv $(PYTHON)
	@$(PYTHON) -m venv $(VENV)

# A lock file is complete, so nothing else is resolved (`--no-deps`), and `pip check` says whether it truly is.
$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of requirements.lock ..."
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@$(PIP) check > /dev/null
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of requirements-dev.lock ..."
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@$(PIP) check > /dev/null
	@touch $@ $(VENV)/installed

.PHONY: .ci/tools-present
.ci/tools-present:
	@.ci/system-packages test

# npm writes this file last, so that it is newer than the lock file only when all is there.
$(NODE_CLIENT)/node_modules/.package-lock.json: $(NODE_CLIENT)/package-lock.json | .ci/tools-present
	@cd $(NODE_CLIENT) && npm ci --no-audit --no-fund --ignore-scripts --silent < /dev/null
	@touch $@

.PHONY: setup
setup: $(VENV)/installed-dev ## Only set up the environment for development

.PHONY: clean-demo
clean-demo: ## Forget the demonstration's data; the next run starts over
	@rm -rf var/demo

# --- for those who change the code -------------------------------------------------------------------------------

.PHONY: format
format: $(VENV)/installed-dev ## Format the code
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix-only --quiet $(CODE)

.PHONY: lint
lint: $(VENV)/installed-dev ## Check the format, the lint rules and the direction of imports
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/lint-imports --no-cache

.PHONY: types
types: $(VENV)/installed-dev ## Check the types
	@$(BIN)/mypy

.PHONY: messages
messages: $(VENV)/installed-dev ## Bring the catalogues of messages up to date
	@$(BIN)/python -m tests.support.catalogues

.PHONY: revision
revision: $(VENV)/installed-dev ## Write a migration from what changed in the models: make revision m="what changed"
	@$(BIN)/python -m tests.support.revision "$(m)"

.PHONY: bench
bench: $(VENV)/installed-dev .ci/tools-present ## Measure: answers per second of processor time, a peer beside ours
	@.ci/system-packages bench
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: var/uv/bin/uv ## Resolve the dependencies anew and write both lock files
	@var/uv/bin/uv pip compile pyproject.toml --extra build $(LOCK) --output-file requirements.lock
	@var/uv/bin/uv pip compile pyproject.toml --extra build --extra dev $(LOCK) --output-file requirements-dev.lock

# `UPGRADE=1` takes the newest versions; otherwise only what pyproject.toml changed moves.
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	$(if $(UPGRADE),--upgrade)

var/uv/bin/uv: | $(BIN)/python
	@$(PYTHON) -m venv var/uv
	@var/uv/bin/python -m pip --disable-pip-version-check --no-input --quiet install "uv>=0.9"
