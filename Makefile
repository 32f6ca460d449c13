# Every target sets up what it needs: a machine needs make and one Python from 3.11 on, with pip and venv.
#
#   make test PYTEST_ARGS="-k lanes -x"     hands arguments to pytest
#   make test PYTHON=/opt/python/bin/python uses that interpreter

VENV        ?= .venv
VERSIONS    ?= 3.11 3.12 3.13
PYTEST_ARGS ?=
CHAOS_ARGS  ?=
# Where the properties are.
PROPERTIES  ?= $(shell grep -rlE '^@given|run_state_machine_as_test|\.TestCase$$' tests --include='test_*.py')
BENCH_ARGS  ?=

# Starting an interpreter is the only proof that it works: a shim on the PATH may have nothing behind it.
# Prints the interpreter itself, so that no environment is tied to a shim.
USABLE = import sys, venv, ensurepip; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c '$(USABLE)' 2>/dev/null && break; done)

BIN = $(VENV)/bin
RUN = $(BIN)/python

# Its news about releases to come is no part of a build's output.
export NO_MKDOCS_2_WARNING = 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two targets at once would install into one environment at once.
.NOTPARALLEL:
.PHONY: help demo test test-all check suite chaos properties bench docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## See actors at work, and calls per second
	$(RUN) examples/demo.py

test: check suite ## Run the checks, then the tests: what CI runs

test-all: ## Run the tests on each of Python 3.11, 3.12 and 3.13 that is installed
	@missing=""; failed=""; ran=""; \
	for version in $(VERSIONS); do \
		python=""; \
		for candidate in "python$$version" "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python$$version; do \
			python=$$("$$candidate" -c '$(USABLE)' 2>/dev/null) && break; \
		done; \
		if [ -z "$$python" ]; then missing="$$missing $$version"; continue; fi; \
		echo "== Python $$version: $$python"; \
		if $(MAKE) --no-print-directory suite VENV=.venv-$$version PYTHON="$$python"; \
		then ran="$$ran $$version"; else failed="$$failed $$version"; fi; \
	done; \
	echo "passed:$${ran:- none}; failed:$${failed:- none}; not installed:$${missing:- none}"; \
	[ -z "$$failed" ] && [ -n "$$ran" ]

check: $(VENV)/.installed-test $(VENV)/.installed-docs ## Run the linters, the type checker and the docs build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/mkdocs build --strict --quiet

# Files side by side: half of the time is spent waiting for processes to begin and to end.
suite: $(VENV)/.installed-test
	@# Where PYTHONDONTWRITEBYTECODE is set, each process of each session would compile the package anew.
	@$(RUN) -m compileall -q src tests
	$(RUN) -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

chaos: $(VENV)/.installed-test ## Kill every kind of process at random for a minute; CHAOS_ARGS="--seed N" repeats a run
	$(RUN) tests/faults/chaos.py $(CHAOS_ARGS)

properties: $(VENV)/.installed-test ## Look at ten times as many examples of each property as the suite does
	$(RUN) -m pytest -n 2 --dist loadfile --hypothesis-profile thorough --timeout 900 -o faulthandler_timeout=600 $(PROPERTIES)

# BENCH_ARGS="calls --quick" measures less; the machine should do nothing else meanwhile.
bench: $(VENV)/.installed-bench ## Measure everything against the floor and what else is installed; write a report
	@# See `suite`.
	@$(RUN) -m compileall -q src
	@mkdir -p build/bench
	$(BIN)/actorio bench $(BENCH_ARGS) --json build/bench/results.json --html build/bench/report.html

docs: $(VENV)/.installed-docs ## Build the documentation into site/
	$(BIN)/mkdocs build --strict
	@echo "open site/index.html"

clean: ## Remove environments, builds and caches
	rm -rf .venv .venv-3.* build dist site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# An environment is made again when its interpreter is gone, and filled again when pyproject.toml changes.
# The stamps say what is installed in full: `.installed` the package alone, `.installed-test` its `test` extra too, ...

# Stamps beside an interpreter that is gone would be believed before it is made again.
$(shell [ -x $(RUN) ] || rm -f $(VENV)/.installed*)

$(RUN):
	@[ -n "$(PYTHON)" ] || { \
		echo "No Python 3.11 or newer with venv and pip was found. Install one, or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)

$(VENV)/.installed: pyproject.toml $(RUN)
	@echo "installing actorio into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable .
	@# See `suite`.
	@$(RUN) -m compileall -q src
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(RUN)
	@echo "installing actorio into $(VENV) with what '$*' needs"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
