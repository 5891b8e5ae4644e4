# Two commands do everything: `make run` opens the console, `make test` passes the tests.
# Each creates what it needs in .venv; nothing is installed outside this folder.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
FAULT ?=
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test check unit engine bench faults lab lab-break lab-mend lab-status lab-down clean docs

help:
	@echo "make run         open the console on this machine"
	@echo "make test        check style and types, run every test this machine can run"
	@echo "make bench       measure speed and memory beside yardsticks"
	@echo "make faults      the long fault tests: 1,000 kills, 500 power cuts, 800 runs of three hosts, a recovery for each kill (root)"
	@echo "make lab         start the practice stack (needs root once, Debian); make lab-down stops it"
	@echo "make lab-break FAULT=app-hung   break it; make lab-mend repairs; without FAULT: the list"

.venv/run.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "sevdeck needs Python 3.11 or newer; none was found on PATH." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python venv is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: .venv/run.stamp
	@$(BIN)/sevdeck

# Three at a time: those with containers and servers wait for most of their time.
test: check
	$(BIN)/python -m pytest -q -n $(WORKERS)

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/dev.stamp
	$(BIN)/python -m pytest -q tests/unit tests/screens

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench

faults: .venv/dev.stamp
	$(BIN)/python -m pytest -q -m nightly tests/engine --durations=5
	SEVDECK_TEST_KILLS=1000 SEVDECK_TEST_STEPS=20 $(BIN)/python -m pytest -q tests/faults -k "not runner" --durations=5
	SEVDECK_TEST_STOPS=20 $(BIN)/python -m pytest -q -s tests/postgres/test_server_faults.py
	for fs in tmpfs ext4 xfs btrfs; do $(BIN)/python -m tests.faults.full_disk --fs $$fs || exit 1; done
	$(BIN)/python -m tests.faults.power_cut --fs ext4 --cuts 300
	$(BIN)/python -m tests.faults.power_cut --fs xfs --cuts 100
	$(BIN)/python -m tests.faults.power_cut --fs btrfs --cuts 100

lab:
	@tests/lab/install-engine
	@$(or $(PYTHON),python3) tests/lab/lab.py up

lab-break:
	@$(or $(PYTHON),python3) tests/lab/lab.py $(if $(FAULT),break $(FAULT),faults)

lab-mend:
	@$(or $(PYTHON),python3) tests/lab/lab.py reset

lab-status:
	@$(or $(PYTHON),python3) tests/lab/lab.py status

lab-down:
	@$(or $(PYTHON),python3) tests/lab/lab.py down

docs: .venv/run.stamp
	$(BIN)/python -c "from console.commands import keys_markdown; print(keys_markdown(), end=str())" > docs/keys.md

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
