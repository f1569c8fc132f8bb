# The front door. Everything works from a fresh clone with Python, make and a network to the package registries.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
export COLLECT_HOME ?= .collect

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-slow test-all check lint types layers bench docs clean

help:  ## show this list
	@awk -F':.*##' '/^[a-z-]+:.*##/ {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A virtual environment whose Python is gone (a moved clone, an upgraded system) is made anew.
$(VENV)/.installed: requirements.lock pyproject.toml $(if $(shell test -x $(RUN)/python && echo yes),,broken)
	@.ci/setup "$(PYTHON)" "$(VENV)"
	@touch $@

.PHONY: broken
broken:

setup: $(VENV)/.installed  ## make the virtual environment with the locked dependencies

demo: setup  ## run everything with data flowing until Ctrl-C; ONCE=1: deliver, compare every copy, exit
	@$(RUN)/collect demo $(if $(filter-out 0,$(ONCE)),--once)

up: setup  ## run everything until Ctrl-C
	@$(RUN)/collect up

test: setup  ## the everyday tests, with lint, types and layers (under three minutes)
	$(MAKE) --no-print-directory lint types layers
	$(RUN)/python -m pytest -q -n auto -m "not slow"

test-slow: setup  ## the slow tests: whole deployments, kill -9 of each server, long chaos runs (six minutes)
	$(RUN)/python -m pytest -q -n auto --dist loadgroup -m slow

test-all: test test-slow  ## the everyday tests and the slow ones

check: test  ## lint, types, layers and the everyday tests

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: setup
	$(RUN)/pyright

layers: setup
	$(RUN)/lint-imports --no-cache

bench: setup  ## measure the response tables and the pipeline (ten minutes; SIZE=n for smaller runs)
	$(RUN)/python -m bench.response_table $(SIZE)
	$(RUN)/python -m bench.pipeline all $(SIZE)

docs: setup  ## write the generated parts of the documents (commands, settings) anew
	$(RUN)/python -m tests.reference

clean:  ## remove the virtual environment and the demo's state
	rm -rf $(VENV) .collect
