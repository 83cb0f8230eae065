# The verbs of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The tests start a thousand processes, each of which would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install demo test check bench docs wheels clean

# The first interpreter that is new enough; say `make PYTHON=/path/to/python` for another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check

MANIFESTS := pyproject.toml $(sort $(wildcard brokers/*/pyproject.toml result_backends/*/pyproject.toml schedule_sources/*/pyproject.toml))
DISTS := $(dir $(MANIFESTS))
PLUGIN_PACKAGES := $(sort $(dir $(wildcard brokers/*/taskiq_core_*/__init__.py result_backends/*/taskiq_core_*/__init__.py \
	schedule_sources/*/taskiq_core_*/__init__.py)))
SQLITE_DISTS := ./ brokers/sqlite/ result_backends/sqlite/ schedule_sources/sqlite/

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: .venv/.installed ## Make .venv with every distribution (editable) and the pinned tools

demo: .demo/.installed ## Run the main job on real input: a census of the standard library, one worker killed half-way
	PYTHONPATH=docs/examples .demo/venv/bin/python -m stdlib_census

test: .venv/.installed ## Run every test (ARGS="-k name" narrows it down)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "not crash"
	$(BIN)/python -m pytest -n 3 --dist worksteal -m crash
endif

check: .venv/.installed ## Formatter, linter, strict types, import rules, size ratchet, public names
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/mypy taskiq_core $(PLUGIN_PACKAGES)
	$(BIN)/python -m pytest -q tests/architecture

bench: .venv/.installed ## Measure against raw loops on this machine and compare with benchmarks/budget.toml
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-peers
bench-peers: .venv/.installed # Measure other frameworks beside this one; installs them into .venv-peers
	$(BIN)/python -m benchmarks.peers $(ARGS)

.PHONY: bench-profile
bench-profile: .venv/.installed # Where the time of a task on Redis goes; with py-spy installed, also in the worker
	$(BIN)/python -m benchmarks.redis_profile

docs: .venv/.installed ## Bring the table of capabilities up to date, check the links of every page and run its snippets
	$(BIN)/python tests/support/capability_table.py
	$(BIN)/python -m pytest -q tests/architecture/test_docs_links.py tests/acceptance/test_docs_snippets.py

wheels: .venv/.installed ## Build a wheel of every distribution into dist/
	rm -rf dist
	$(BIN)/python $(PIP) wheel --quiet --no-deps --wheel-dir dist $(DISTS)
	@ls dist

clean: ## Remove everything that the other verbs made
	rm -rf .venv .demo dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is made again only when a manifest has changed.
.venv/.installed: $(MANIFESTS)
	$(call make_venv,.venv)
	.venv/bin/python $(PIP) install --quiet --group dev $(addprefix --editable ,$(DISTS))
	@touch $@

.demo/.installed: $(MANIFESTS)
	$(call make_venv,.demo/venv)
	.demo/venv/bin/python $(PIP) install --quiet $(addprefix --editable ,$(SQLITE_DISTS))
	@touch $@

define make_venv
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; found none. Try: make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	$(1)/bin/python $(PIP) install --quiet 'pip>=25.1'
endef
