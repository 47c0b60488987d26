# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV ?= .venv
# Linux has nproc, macOS sysctl; what either prints to its standard error would be no number
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo report test lint lock clean
.DELETE_ON_ERROR:

# The stamp is written last: an installation that was interrupted is taken up again.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tagseg needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# A killed run leaves Snakemake's lock behind. Where flock is at hand it tells that no other `make demo` is at work, so
# that the stale lock can be taken away and the same command goes on where the killed one was.
LOCK := $(if $(shell command -v flock 2>/dev/null),flock --close --nonblock --conflict-exit-code 9 .demo.lock)
demo: $(STAMP)
	@$(LOCK) sh -c '$(if $(LOCK),$(BIN)/snakemake --quiet all --unlock &&) \
	  $(BIN)/snakemake --cores $(CORES) --quiet rules' || { test $$? -ne 9 || echo "make demo: already at work"; exit 1; }
	@$(BIN)/tagseg show results/shapes

# Set up and no more.
install: $(STAMP)

# One page of tables and figures: results/shapes/report.html
report: demo
	@$(BIN)/snakemake --cores 1 --report results/shapes/report.html --quiet all

test: $(STAMP)
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy

# After a change of the versions in pyproject.toml: install them, then pin what came with them.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[test,dev]'
	{ echo "# Every package of the virtual environment, pinned; made by 'make lock'."; \
	  echo "# CUDA libraries are left to torch, which pins its own."; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(nvidia|triton|cuda-)'; } > requirements.lock

clean:
	rm -rf $(VENV) .demo.lock results logs .snakemake .pytest_cache .mypy_cache .ruff_cache build dist src/*.egg-info
