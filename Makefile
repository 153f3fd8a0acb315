# Two commands for a new user: `make demo` and `make test`. Both set up what they
# need in .venv; nothing is installed outside of it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COUNT ?= 10000
RUNS ?= 4
PARALLEL ?= 4

.PHONY: help demo test schedules quiet models lint types format bench failover clean

help:            ## what there is to make
	@grep -E '^[a-z]+: .*##' Makefile | sed -E 's/:.*## */\t/' | sort

demo: $(STAMP)   ## the README's story with real processes, sockets and hooks
	$(BIN)/flip demo

test: $(STAMP)   ## all tests
	PYTHONPATH=. $(BIN)/trial tests

schedules: $(STAMP)  ## 10,000 random schedules of faults, or COUNT of them
	$(BIN)/python -m flip.simulation.schedules --count $(COUNT)

quiet: $(STAMP)  ## no member is ever down under 20 % loss: a sample, or RUNS per size
	$(BIN)/python -m flip.simulation.bounds quiet --runs $(RUNS)

models: $(STAMP) ## the exclusive protocol in a model checker (apt install spin gcc)
	PYTHONPATH=. $(BIN)/python -m models.check

lint: $(STAMP)   ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## type checks
	$(BIN)/mypy

format: $(STAMP) ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## every performance promise, as tables
	@for bench in benchmarks/bench_*.py; do PYTHONPATH=. $(BIN)/python $$bench || exit 1; done

failover: $(STAMP)  ## flip beside keepalived and serf (root; apt install keepalived serf ...)
	PYTHONPATH=. $(BIN)/python -m benchmarks.failover --parallel $(PARALLEL)

clean:           ## remove what was made
	rm -rf $(VENV) build *.egg-info _trial_temp* .hypothesis .mypy_cache .ruff_cache

$(STAMP): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'flip needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11'; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing. On Debian and Ubuntu:"; \
		echo '    apt install python3-venv'; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/twistd --help > /dev/null  # lets Twisted cache where its plugins are
	@touch $(STAMP)
