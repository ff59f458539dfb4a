# `make reproduce` sets everything up and runs the whole experiment; `make test` runs all tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(shell sed -n 's/^uv==\([0-9.]*\).*/uv==\1/p' requirements.lock)
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/$(BIN):$(PATH)
# what is compiled is kept: tests start hundreds of processes
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help reproduce test check setup lint lock ui benchmarks clean

help:           ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 20

reproduce: setup        ## set up, run the whole experiment on the miniature, print its tables
	rijksnet repro
	rijksnet tables

test: setup             ## set up and run all tests
	python -m pytest $(SIDE_BY_SIDE)

check: setup            ## lint, types, contract tests, and unit tests of what was changed
	ruff check . && ruff format --check . && mypy
	python -m pytest $(SIDE_BY_SIDE) -q tests/contract $$(python tests/changed.py)

setup: .venv/ready      ## make .venv with every dependency at its locked version

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 15), f"RijksNet needs Python 3.11 to 3.14, not {sys.version}: set PYTHON"'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --disable-pip-version-check $(UV)
	uv pip sync --quiet --python $(BIN)/python --compile-bytecode requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lint: setup             ## ruff and mypy
	ruff check . && ruff format --check . && mypy

lock: setup             ## resolve requirements.lock anew
	uv pip compile pyproject.toml --group dev --python-version 3.11 --universal --generate-hashes --no-annotate \
	  --no-header --quiet --upgrade --output-file requirements.lock

ui: setup               ## the MLflow UI on http://127.0.0.1:5000, with the addresses of prepared comparisons
	rijksnet ui

benchmarks: setup       ## training and features of all networks against plain PyTorch: docs/performance.md
	python benchmarks/training.py --csv benchmarks/speed.csv
	python docs/generate.py

clean:          ## remove the environment and caches; data, runs and results stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
