# The front door. Everything works from a fresh clone with Python, make and a network to the package registries.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
export COLLECT_HOME ?= .collect

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-all check lint types layers bench docs clean

help:  ## show this list
	@awk -F':.*##' '/^[a-z-]+:.*##/ {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

setup: $(VENV)/.installed  ## make the virtual environment with the locked dependencies

demo: setup  ## run everything with data flowing until Ctrl-C; ONCE=1: deliver, compare, exit
	$(RUN)/collect demo $(if $(ONCE),--once)

up: setup  ## run everything without demo data
	$(RUN)/collect up

test: setup  ## the everyday tests, with lint, types and layers (under three minutes)
	$(MAKE) --no-print-directory lint types layers
	$(RUN)/python -m pytest -q -n auto -m "not slow"

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: setup
	$(RUN)/pyright

layers: setup
	$(RUN)/lint-imports --no-cache

docs: setup  ## write the generated parts of the documents (commands, settings) anew
	$(RUN)/python -m tests.reference

clean:  ## remove the virtual environment and the demo's state
	rm -rf $(VENV) .collect
