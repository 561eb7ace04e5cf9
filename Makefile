# make reproduce    chapters in batch, then the table       make test         what every change must pass
# make lab          JupyterLab on copies of the notebooks   make lint         ruff and mypy, a part of test
# make notebooks    run and store the chapters' outputs     make test-slow    tests of up to a minute each
# make checkpoints  train what sepkit/assets ships          make test-long    tests of minutes
# make checkpoints-gpu    larger ones within nine minutes on one GPU; TINY=1 DEVICE=cpu is a dry run
# make check-gpu    what only a GPU can tell, in eight minutes on one; with the same dry run
# make budgets      time and memory of chapters, measured
# make readme       the README's chapter table              make test-floor   the oldest packages (Colab's)
# make docs         the API reference, build/docs           make test-newest  the newest packages
# make course       for teachers: versions, guide, assignments, slides
# make convergence  what sepkit verify compares with
# make bench        speed and memory, with peers            make resolve      packages for Python 3.10 to 3.14
# make test-parity  networks against their authors' code    make test-wheel   the wheel, outside a checkout
# make book         the course with all its sounds, to read without a network: build/book/index.html, book.pdf
# make clean        remove what was built
#
# PROFILE=smoke (seconds per chapter), student (minutes, the default) or paper (GPU hours).
# CHAPTERS="01 04" picks chapters. OUT=build is where everything lands. JOBS=0 runs tests in one process.

PYTHON   ?= python3
PROFILE  ?= student
OUT      ?= build
CHAPTERS ?=
JOBS     ?= auto
DEVICE   ?= cuda
TINY     ?=
COMMIT   ?=
REPO     ?=
LAB      ?=
BIN      := .venv/bin
READY    := .venv/.ready
FLOOR    := .venv-floor
NEWEST   := .venv-newest
PARITY   := .venv-parity
WHEEL    := .venv-wheel
# The newest numpy and librosa ask for a newer Python than the oldest that is promised.
NEWEST_PYTHON ?= $(PYTHON)

# A user's own settings must not decide what is installed or tested here.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PIP_CONSTRAINT
unexport PIP_TARGET
unexport PIP_PREFIX
unexport PIP_USER
unexport PYTHONPATH
unexport PYTHONHOME

.PHONY: reproduce test lint test-unit test-notebooks test-batch test-slow test-long test-processors
.PHONY: test-floor test-newest test-parity test-wheel resolve lab notebooks bench checkpoints checkpoints-gpu check-gpu
.PHONY: budgets readme docs book course clean test-verify convergence
.DEFAULT_GOAL := reproduce
.NOTPARALLEL:

reproduce: $(READY)
	$(BIN)/sepkit reproduce $(CHAPTERS) --profile $(PROFILE) --out $(OUT)

test: lint test-unit test-notebooks test-batch test-verify

# Settings and the reasons for what is left out: pyproject.toml.
lint: $(READY)
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy

# One process per core, of one thread each; four at most, for the memory that torch takes in each.
SIDE_BY_SIDE := --durations 15 --numprocesses $(JOBS) --maxprocesses 4 --dist

# nbval, which takes a second to load, is for the chapters.
test-unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "not slow" -p no:nbval $(SIDE_BY_SIDE) worksteal

# A worker takes a whole file: a chapter is one kernel, and a file of slow tests often one server.
test-notebooks: $(READY)
	$(BIN)/sepkit data band --preset smoke
	OMP_NUM_THREADS=1 SEPKIT_PROFILE=smoke SEPKIT_OUT=$(abspath build/test) $(BIN)/pytest -q --nbval-lax \
	    --nbval-current-env --nbval-cell-timeout=120 $(SIDE_BY_SIDE) loadfile notebooks

# Two stored experiments: does this machine come to the same scores?
test-verify: $(READY)
	$(BIN)/sepkit verify mixing --preset smoke --steps 100
	$(BIN)/sepkit verify ablation --preset smoke --steps 100

test-batch: $(READY)
	$(BIN)/sepkit reproduce 01 02 --profile smoke --out build/test

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "slow and not long" -p no:nbval $(SIDE_BY_SIDE) loadfile

# Exit code 5: no test is that long.
test-long: $(READY)
	$(BIN)/pytest -q -m long || test $$? = 5

# As a processor without AVX-512 computes: oneDNN has no LSTM of 16 bits there.
test-processors: $(READY)
	ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/pytest -q -m "not slow" -k "precision or bfloat16" tests/models

# Figures and sliders are tested by themselves: what fails to be displayed is no error of a chapter's cell.
test-floor: export JUPYTER_PATH := $(abspath .venv/share/jupyter)
test-floor: $(FLOOR)/.ready
	$(FLOOR)/bin/python -m pytest -q -m "not slow" tests/learn/test_plots.py tests/learn/test_sliders.py \
	    tests/learn/test_players.py tests/learn/test_chapter.py
	$(FLOOR)/bin/python -m sepkit reproduce $(CHAPTERS) --profile smoke --out build/floor --timeout 600

test-newest: $(NEWEST)/.ready
	$(NEWEST)/bin/python -m pytest -q -m "not slow"

# The same random weights in our networks and in the packages of their authors, which .venv is without.
test-parity: $(PARITY)/.ready
	OMP_NUM_THREADS=1 $(PARITY)/bin/python -m pytest -q -p no:nbval tests/parity

# The newest Python that is here, an empty folder, and no checkout in sight.
test-wheel: $(READY)
	rm -rf build/wheel build/lib build/bdist.* # modules of an earlier state
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(NEWEST_PYTHON) -m venv --clear $(WHEEL)
	if [ "$$($(NEWEST_PYTHON) -V)" = "$$($(BIN)/python -V)" ]; then $(call on_top_of_venv,$(WHEEL)); fi
	$(WHEEL)/bin/pip install --quiet --no-warn-conflicts --ignore-installed --no-deps build/wheel/*.whl
	$(WHEEL)/bin/pip install --quiet --no-warn-conflicts build/wheel/*.whl
	$(WHEEL)/bin/python tests/wheel.py

resolve: $(READY)
	$(BIN)/pytest -q -m slow tests/test_packages.py

lab: $(READY)
	$(BIN)/python -m sepkit.learn.lab $(LAB)

# Each chapter with its own kernel, in place; audio and machine traces do not belong into the repository.
notebooks: $(READY)
	$(BIN)/sepkit data band --preset $(PROFILE)
	SEPKIT_PROFILE=$(PROFILE) SEPKIT_OUT=$(abspath $(OUT)) $(BIN)/python -m sepkit.reproduce.notebook $(CHAPTERS)
	$(BIN)/nbstripout --keep-output --keep-count --extra-keys "metadata.papermill metadata.widgets \
	    cell.metadata.papermill cell.metadata.execution" notebooks/*.ipynb

bench: $(READY)
	$(BIN)/python tests/bench/run.py $(BENCH)

# From the logs of `sepkit experiment`, whose Scores are stored.
convergence: $(READY)
	$(BIN)/sepkit data band --preset experiments
	$(BIN)/python -m sepkit.reproduce.convergence_files

checkpoints: $(READY)
	$(BIN)/sepkit data band --preset checkpoints
	$(BIN)/python -m sepkit.reproduce.checkpoints

# Nothing is installed: the machine may have no network. PYTHONPATH may name a folder of packages.
checkpoints-gpu check-gpu: export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
checkpoints-gpu:
	$(ON_GPU).checkpoints_gpu --out $(OUT)/checkpoints-gpu $(GPU_OPTIONS)

check-gpu:
	$(ON_GPU).check_gpu --out $(OUT)/check-gpu.json $(GPU_OPTIONS)

ON_GPU = $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m sepkit.reproduce
GPU_OPTIONS = --device $(DEVICE) $(if $(TINY),--tiny) $(if $(COMMIT),--commit $(COMMIT))

# One after the other, on a machine that does nothing else: the plan of a batch and the README show them.
budgets: $(READY)
	$(BIN)/sepkit reproduce $(CHAPTERS) --profile $(PROFILE) --out build/budgets --workers 1 --force
	$(BIN)/python -m sepkit.reproduce.readme --budgets build/budgets/manifest.json

readme: $(READY)
	$(BIN)/python -m sepkit.reproduce.readme $(if $(REPO),--repo $(REPO)) --budgets $(OUT)/manifest.json

# Chapters that have run already are not run again. The PDF is printed where there is a Chromium.
book: $(READY)
	$(BIN)/sepkit reproduce $(CHAPTERS) --profile $(PROFILE) --out $(OUT)
	$(BIN)/python -m sepkit.reproduce.book --executed $(OUT)/executed --out $(OUT)/book

# From the notebooks as they are stored; nothing runs but the checks, for the guide's common errors.
course: $(READY)
	$(BIN)/python -m sepkit.learn.course.build $(CHAPTERS) --out $(OUT)/course --answers tests/learn/answers

# No network while it builds, and none while it is read.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/mkdocs.yml

clean:
	rm -rf build .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +

# $(1) finds what is in .venv behind what is its own.
on_top_of_venv = echo "import site; site.addsitedir('$$($(BIN)/python -c \
    "import sysconfig; print(sysconfig.get_path('purelib'))")')" > \
    "$$($(1)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/venv.pth"

$(FLOOR)/.ready: $(READY) constraints-floor.txt
	$(BIN)/python -m venv --clear $(FLOOR)
	$(call on_top_of_venv,$(FLOOR))
	$(FLOOR)/bin/pip install --quiet --no-warn-conflicts --requirement constraints-floor.txt
	@touch $@

# What the extra asks for; sepkit itself is in .venv, behind it.
EXTRA_PARITY = from importlib.metadata import requires; \
    print(*(line.partition(';')[0] for line in requires('sepkit') if 'parity' in line))

$(PARITY)/.ready: $(READY) pyproject.toml
	$(BIN)/python -m venv --clear $(PARITY)
	$(call on_top_of_venv,$(PARITY))
	$(PARITY)/bin/pip install --quiet --no-warn-conflicts --constraint constraints.txt $$($(BIN)/python -c \
	    "$(EXTRA_PARITY)")
	@touch $@

# Nothing of .venv, and no museval: it holds numpy below 2.4.
$(NEWEST)/.ready: pyproject.toml
	$(NEWEST_PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --editable '.[notebooks,band,test]'
	@touch $@

.venv/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@touch $@

# Installed once, and again only when what is to be installed changes.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
	    { echo "make: $(PYTHON) is older than 3.10; run: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	    { rm -rf .venv; echo "make: cannot create .venv; run: sudo apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@
