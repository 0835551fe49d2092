# Two commands from a clean clone: `make demo` and `make test`. Both make .venv and install what they need.
# Needs Python 3.11 or newer and make; choose another Python with: make test PYTHON=python3.12

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint benchmarks clean

AT_LEAST_3_11 := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for python in .venv/bin/python python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(AT_LEAST_3_11)' 2>/dev/null && echo $$python && break; done)
endif
VERSION := $(shell $(or $(PYTHON),false) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
HAS_PYTHON := .venv/.has-python-$(VERSION)
BIN := .venv/bin
# Two processes, one thread of arithmetic each: idle threads of one would spin where the other wants to work.
# OpenVINO sets the process's locale to C for as long as it compiles, maybe in a thread beside the next test.
PYTEST := OMP_NUM_THREADS=1 PYTHONUTF8=1 $(BIN)/python -m pytest -n 2 --dist worksteal

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.has-demo  ## install, gather demo photographs, index them and search; offline after the installation
	$(BIN)/python scripts/demo.py

test: lint  ## lint, types, import rules, quick tests
	$(PYTEST) -m "not slow"

test-all: lint  ## the same with the slow tests
	$(PYTEST)

lint: .venv/.has-test  ## lint, formatting, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks:  ## say how the quoted numbers are measured
	@echo "The benchmarks take minutes each and need a peer; the commands stand in benchmarks/README.md"

clean:  ## remove .venv and the demo
	rm -rf .venv demo

# An environment that fits is kept; one of another Python, or half made, is made anew.
$(HAS_PYTHON):
	@$(or $(PYTHON),false) -c '$(AT_LEAST_3_11)' || \
		{ echo "Sightline needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(BIN)/python$(VERSION) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@# A pip that came with an older Python resolves slowly and may choose badly.
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

.venv/.has-demo: $(HAS_PYTHON) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

.venv/.has-test: $(HAS_PYTHON) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@
