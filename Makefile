# make reproduce   chapters in batch, then the table      make test       what every change must pass
# make lab         JupyterLab on the notebooks            make test-slow  what takes minutes
# make notebooks   run and store the chapters' outputs    make bench      speed and memory, with peers
# make checkpoints train what data/checkpoints ships      make readme     the README's chapter table
#
# PROFILE=smoke (seconds a chapter), student (minutes, the default) or paper (GPU hours).
# CHAPTERS="01 04" picks chapters. OUT=build is where everything lands.

PYTHON   ?= python3
PROFILE  ?= student
OUT      ?= build
CHAPTERS ?=
REPO     ?=
BIN      := .venv/bin
READY    := .venv/.ready

# A user's own settings must not decide what is installed or tested here.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PYTHONPATH
unexport PYTHONHOME

.PHONY: reproduce test test-unit test-notebooks test-batch test-slow lab notebooks bench checkpoints readme clean
.DEFAULT_GOAL := reproduce
.NOTPARALLEL:

reproduce: $(READY)
	$(BIN)/sepkit reproduce $(CHAPTERS) --profile $(PROFILE) --out $(OUT)

test: test-unit test-notebooks test-batch

test-unit: $(READY)
	$(BIN)/pytest -q -m "not slow"

test-notebooks: $(READY)
	$(BIN)/sepkit data band --preset smoke
	SEPKIT_PROFILE=smoke SEPKIT_OUT=$(abspath build/test) $(BIN)/pytest -q --nbval-lax --nbval-current-env \
	    --nbval-cell-timeout=120 notebooks

test-batch: $(READY)
	$(BIN)/sepkit reproduce 01 02 --profile smoke --out build/test

test-slow: $(READY)
	$(BIN)/pytest -q -m slow

lab: $(READY)
	$(BIN)/jupyter lab notebooks

# Each chapter with its own kernel, in place; audio and machine traces do not belong into the repository.
notebooks: $(READY)
	$(BIN)/sepkit data band --preset $(PROFILE)
	SEPKIT_PROFILE=$(PROFILE) SEPKIT_OUT=$(abspath $(OUT)) $(BIN)/python -m sepkit.reproduce.stored $(CHAPTERS)
	$(BIN)/nbstripout --keep-output --keep-count --extra-keys "metadata.papermill metadata.widgets \
	    cell.metadata.papermill cell.metadata.execution" notebooks/*.ipynb

bench: $(READY)
	$(BIN)/python tests/bench/run.py $(BENCH)

checkpoints: $(READY)
	$(BIN)/sepkit data band --preset checkpoints
	$(BIN)/python -m sepkit.reproduce.checkpoints

readme: $(READY)
	$(BIN)/python -m sepkit.reproduce.readme $(if $(REPO),--repo $(REPO)) --budgets $(OUT)/manifest.json

clean:
	rm -rf build .pytest_cache
	find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +

# Installed once, and again only when what is to be installed changes.
$(READY): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
	    { echo "make: $(PYTHON) is older than 3.10; run: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	    { rm -rf .venv; echo "make: cannot create .venv; run: sudo apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@
