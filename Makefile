# make demo: set up, train the tiny model on demo scenes and show what it learned.   make test: set up and test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What was installed last stays chosen, so that a later `make test` does not change it.
CONSTRAINTS ?= $(or $(shell cat $(INSTALLED) 2>/dev/null),constraints.txt)
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test lint clean

setup: $(INSTALLED)

# A change of the set begins an environment anew: it may come with another Python.
ifneq ($(CONSTRAINTS),$(or $(shell cat $(INSTALLED) 2>/dev/null),constraints.txt))
.PHONY: $(INSTALLED)
CLEAR := --clear
endif

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(CLEAR) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev]"
	echo $(CONSTRAINTS) > $@

demo: setup
	$(BIN)/python -m qvl.train +recipe=stage2_lora

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

clean:
	rm -rf $(VENV)
