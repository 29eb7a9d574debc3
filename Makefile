# make demo   set up, play 30 s of the bundled show, leave demo.mp4
# make test   set up, then lint, types and tests
# Both do all the set-up: system parts (as root on Debian; otherwise they print the line to paste) and a venv here.

PYTHON ?= python3
# The diffusion tests run on the CPU. Left to itself, pip would take the newest torch; elsewhere than Linux, and with
# the makers' CPU index, this is a small download: make test TORCH="torch --index-url ..." takes another one.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# On a machine with a GPU, in its own environment: torch and tensorrt for that card are a choice (see the README).
bench-gpu:
	python -m pytest -q -m gpu tests/generate tests/offline
	python -m benchmarks.turbo --full --json --profile benchmarks/results
	python -m benchmarks.svd --full --json

.PHONY: demo test lint types unit bench bench-gpu clean system system-test

demo: system $(VENV)/.run
	$(BIN)/vjengine demo -o demo.mp4

test: system-test lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# Three test files at a time: most of them wait for real parts to do something. What fails is run once more, alone: a
# sound server that got no time beside its neighbour is no fault. What fails twice is.
unit: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 3 --dist loadfile || { test $$? -eq 1 && \
	    echo "Once more, alone, what failed:" && \
	    $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none; }

bench: system $(VENV)/.run
	for name in analysis compositor present macro_latency audio_path; do $(BIN)/python -m benchmarks.$$name || exit 1; done

system:
	@sh .ci/system-parts run

system-test:
	@sh .ci/system-parts test

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "vjengine needs Python 3.11 to 3.13; say which with make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Wheels only, and no torch: a few minutes on a slow line, about 500 MB.
$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "Installing vjengine into $(VENV) ..."
	$(PIP) install -q -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing vjengine and its test tools into $(VENV) ..."
	$(PIP) install -q $(TORCH)
	$(PIP) install -q -e '.[dev]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build dist demo.mp4 .pytest_cache .mypy_cache .ruff_cache
