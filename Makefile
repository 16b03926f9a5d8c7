# make demo: set up, train the tiny model on demo scenes and show what it learned.   make test: set up and test.
# make setup CONSTRAINTS=constraints-cu12.txt: for a driver of CUDA 12, see docs/reference/machine.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What was installed last stays chosen, so that a later `make test` does not change it.
CONSTRAINTS ?= $(or $(shell cat $(INSTALLED) 2>/dev/null),constraints.txt)
export OMP_NUM_THREADS ?= 1

.PHONY: setup driver demo test lint clean

setup: $(INSTALLED)

# A change of the set begins an environment anew: it may come with another Python.
ifneq ($(CONSTRAINTS),$(or $(shell cat $(INSTALLED) 2>/dev/null),constraints.txt))
.PHONY: $(INSTALLED)
CLEAR := --clear
endif

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@$(MAKE) --no-print-directory driver
	$(PYTHON) -m venv $(CLEAR) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev]"
	echo $(CONSTRAINTS) > $@

# Stops before gigabytes are fetched that the driver cannot use; a set that is named is installed all the same.
driver:
	@driver=$$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1); \
	major=$${driver%%.*}; \
	case "$$major" in ''|*[!0-9]*) exit 0 ;; esac; \
	if [ "$$major" -ge 580 ] || { [ "$$major" -ge 525 ] && [ $(CONSTRAINTS) = constraints-cu12.txt ]; }; then exit 0; fi; \
	if [ "$$major" -ge 525 ]; then advice="make setup CONSTRAINTS=constraints-cu12.txt"; else advice="renew the driver"; fi; \
	echo "driver $$driver does not work with the torch of $(CONSTRAINTS): $$advice" >&2; \
	[ "$(origin CONSTRAINTS)" = "command line" ]

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
