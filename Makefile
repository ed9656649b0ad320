# `make` alone lists the targets. Everything is installed into .venv; nothing outside this folder changes but caches.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long test-oldest test-newest test-alone bench bench-collector bench-query bench-store services fmt lint types docs clean

# The Python to build on: PYTHON=... where given, else python3, else the newest named one; 3.11 is the oldest that will do.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; done)
VENV := .venv
CONSTRAINTS := constraints.txt
PY := $(VENV)/bin/python
# A file of tests stays in one process. Each process starts servers of its own, so that many would be no faster.
PYTEST := $(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
TWINS := tests/instrumentation tests/model

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

demo: $(VENV)/.demo ## set up, and run the main job on real data: capture, ship, store, ask
	@$(PY) examples/run_demo.py </dev/null

test: lint types ## set up, and run lint, types and all tests but the long ones
	@$(PYTEST) -m 'not long' </dev/null
	@echo 'again what has a compiled twin, in Python alone'
	@PROVTEL_PURE_PYTHON=1 $(PYTEST) --quiet -m 'not long' $(TWINS) </dev/null

test-long: $(VENV)/.dev ## run the long fault and fuzz tests too
	@$(PYTEST) </dev/null

test-oldest: ## run the tests with the oldest versions that pyproject.toml allows, in an environment of their own
	@$(PYTHON) -m tests.house.oldest > .venv-oldest.txt
	@$(MAKE) test-alone VENV=.venv-oldest CONSTRAINTS=.venv-oldest.txt

test-newest: ## run the tests with the newest versions that it allows
	@$(MAKE) test-alone VENV=.venv-newest CONSTRAINTS=/dev/null

test-alone: $(VENV)/.dev
	@$(PYTEST) -m 'not long' </dev/null

bench: $(VENV)/.dev ## measure us beside our peers in one run; prints ratios, and writes them to docs/
	@$(PY) -m benchmarks --page docs/reference/benchmarks.md </dev/null

bench-collector: $(VENV)/.dev ## measure our collector beside the OpenTelemetry Collector; writes to docs/ too
	@$(PY) -m benchmarks.collector --page docs/reference/collector-benchmarks.md </dev/null

bench-query: $(VENV)/.dev ## measure what answers cost in a store of 100,000 tasks and of 1,000,000; writes to docs/ too
	@$(PY) -m benchmarks.query --page docs/reference/query-benchmarks.md </dev/null

bench-store: $(VENV)/.dev ## measure what a large LMDB store costs, beside what it may; writes to docs/ too
	@$(PY) -m benchmarks.backends.embedded --page docs/reference/store-benchmarks.md </dev/null

services: $(VENV)/.dev ## build or find the real servers that the tests talk to
	@$(PY) -m tests.services </dev/null

fmt: $(VENV)/.dev ## format the code and fix what can be fixed
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format .

lint: $(VENV)/.dev ## check style, the walls between the rooms, and the generated pages
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo
	@$(PY) -m docs.generate --check

types: $(VENV)/.dev ## check the types, strictly
	@$(VENV)/bin/mypy

docs: $(VENV)/.dev ## write the generated reference pages anew
	@$(PY) -m docs.generate

clean: ## remove what the targets made here
	@rm -rf $(VENV) .venv-* demo_output digits_output dist .provtel .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@$(FIND_MODULES) -delete
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable
# The install compiles the C modules where it can; without them their twins in Python run.
SOURCES := pyproject.toml constraints.txt hatch_build.py $(shell find model instrumentation exporters -name '*.[ch]')
FIND_MODULES := find model instrumentation exporters -name '*.so'
TELL_PURE := test -n "$$($(FIND_MODULES))" || echo 'no C module was compiled (is there a C compiler, are there headers of Python?): the same runs in Python, and slower' >&2

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo 'provtel needs Python 3.11 or newer, and found none: install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo "setting up $(VENV) with $$($(PYTHON) --version), half a minute"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.python $(SOURCES)
	@$(INSTALL) '.[demo]'
	@$(TELL_PURE)
	@touch $@

$(VENV)/.dev: $(VENV)/.python $(SOURCES)
	@$(INSTALL) '.[demo,dev]'
	@$(TELL_PURE)
	@touch $(VENV)/.demo $@
