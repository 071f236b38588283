# Every target does its own set-up from nothing but Python (3.11 or later) and make. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
STACK ?= dev
BIN := .venv/bin
# With two cores, two test processes: more would only queue.
TEST_PROCESSES ?= $(shell nproc 2>/dev/null || echo 2)
PYTEST_ARGS ?=
# For example: SOAK_ARGS='--starts 100 --seed 7'
SOAK_ARGS ?=
# Whose cluster test-cluster uses: a node of its own, or `existing`.
CLUSTER ?= node
# Which of its tests: files or folders of tests/cluster.
CLUSTER_TESTS ?= tests/cluster
# Two processes have the node and mostly wait; the third does what needs no node. tests/cluster/conftest.py says which does what.
BESIDE := -n 3 --dist loadscope --no-loadscope-reorder
# What test-objects runs, and what that needs built.
OBJECTS_TESTS ?= tests/cluster/objects/test_stack_objects.py tests/cluster/objects/test_engine_pitfalls.py tests/cluster/objects/test_engine_reports.py
OBJECTS_TOOLS := etcd kubernetes pulumi-language pulumi
# What set-up installs is found where the machine has none of its own: uv, and for tests Node.js.
export PATH := $(PATH):$(CURDIR)/$(BIN)
say = printf '\033[1m› %s\033[0m\n'

.PHONY: help setup run test check format golden preview up bench soak clean test-objects test-cluster cluster-up cluster-down

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2}'

# uv comes from PATH, or from PyPI into the virtual environment itself.
.venv/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Slipway needs Python 3.11 or later, as \`$(PYTHON)\`: install it, or run make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@mkdir -p .venv; if command -v uv >/dev/null; then \
	  [ -x $(BIN)/python ] || { $(say) 'make a virtual environment in .venv'; uv venv -q --allow-existing --python $(PYTHON) .venv; }; \
	  printf '#!/bin/sh\nexec "%s" "$$@"\n' "$$(command -v uv)" > .venv/.uv.new; chmod +x .venv/.uv.new; mv .venv/.uv.new .venv/.uv; \
	else \
	  $(say) 'make a virtual environment in .venv, with uv from PyPI'; \
	  $(PYTHON) -m venv .venv || { echo 'Python has no venv module: on Debian, apt-get install python3-venv' >&2; exit 1; }; \
	  $(BIN)/python -m pip install -q uv; ln -sf bin/uv .venv/.uv; \
	fi

# What running needs, and nothing of what testing needs.
.venv/.ready-run: pyproject.toml uv.lock | .venv/.uv
	@$(say) 'install what the program needs'
	@UV_PROJECT_ENVIRONMENT=.venv .venv/.uv sync -q --frozen --inexact --extra all
	@touch $@

.venv/.ready-infra: pyproject.toml uv.lock | .venv/.uv
	@$(say) 'install what the platform program needs'
	@UV_PROJECT_ENVIRONMENT=.venv .venv/.uv sync -q --frozen --inexact --extra infra
	@touch $@

.venv/.ready-dev: pyproject.toml uv.lock | .venv/.uv
	@$(say) 'install everything into .venv'
	@UV_PROJECT_ENVIRONMENT=.venv .venv/.uv sync -q --frozen --inexact --extra dev
	@touch $@ .venv/.ready-run .venv/.ready-infra

setup: .venv/.ready-dev ## Install everything into .venv (the others call it)

run: .venv/.ready-run ## Run the platform on this machine, on embedded stores
	@$(BIN)/slipway run

test: .venv/.ready-dev ## Run the tests
	@$(BIN)/python tests/tools.py
	@$(say) 'run the tests'
	@$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

# The node's control plane alone, and the engine: no root, no pods. Its tools are a quarter of an hour's build, once.
test-objects: .venv/.ready-dev ## Run the stacks on a real API server, without pods (needs Go)
	@cd tests/cluster && ../../$(BIN)/python -m harness.build $(OBJECTS_TOOLS)
	@$(say) 'run the stacks on an API server'
	@$(BIN)/pytest $(OBJECTS_TESTS) --cluster -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

# The harness itself hears Ctrl-C, and takes the node down.
test-cluster: .venv/.ready-dev ## Run the stacks on a real node (Linux, root); CLUSTER=existing uses KUBECONFIG
	@if [ "$(CLUSTER)" = existing ]; then \
	  [ -n "$${KUBECONFIG:-}" ] || { echo 'CLUSTER=existing: set KUBECONFIG to the file of a cluster that tests may change' >&2; exit 1; }; \
	  exec env SLIPWAY_TEST_CLUSTER=existing $(BIN)/pytest $(CLUSTER_TESTS) --cluster $(BESIDE) $(PYTEST_ARGS); \
	else \
	  exec $(BIN)/python tests/cluster/harness run $(BIN)/pytest $(CLUSTER_TESTS) --cluster $(BESIDE) $(PYTEST_ARGS); \
	fi

cluster-up: .venv/.ready-dev ## Start the tests' node and leave it running
	@$(BIN)/python tests/cluster/harness up

cluster-down: .venv/.ready-dev ## Take it down
	@$(BIN)/python tests/cluster/harness down

check: .venv/.ready-dev ## Format and lint check, types, import contracts
	@$(say) 'formatting'; $(BIN)/ruff format --check -q .
	@$(say) 'lint'; $(BIN)/ruff check -q .
	@$(say) 'import contracts'; $(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports
	@$(say) 'types'; $(BIN)/pyright

format: .venv/.ready-dev ## Format the code, and mend what lint can mend
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

golden: .venv/.ready-dev ## Rewrite the approved snapshots, the schema and the generated reference
	@$(BIN)/python -m infra.config.schema --write
	@$(BIN)/python -m infra.config.reference --write
	@$(BIN)/pytest -q tests/infra/test_golden.py --golden
	@$(BIN)/python tests/charts/render.py

preview: .venv/.ready-infra ## Show what `pulumi up` would do to STACK=dev
	@$(BIN)/python -m infra.preflight --stack $(STACK) --for preview
	@pulumi preview --stack $(STACK) --diff

up: .venv/.ready-infra ## Preflight, then `pulumi up` of STACK=dev
	@$(BIN)/python -m infra.preflight --stack $(STACK) --for up
	@pulumi up --stack $(STACK)

bench: .venv/.ready-dev ## Run the benchmarks; bench/README.md says what they mean
	@$(BIN)/python bench/run.py

soak: .venv/.ready-dev ## Start and hurt servers thousands of times, then look for anything left
	@$(BIN)/python tests/app/gateway/soak.py $(SOAK_ARGS)

clean: ## Remove what the other targets made in this folder
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist ./*.egg-info
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
