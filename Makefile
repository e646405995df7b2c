PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

# Both ends of the versions that pyproject.toml allows, and what is tested with them: what depends on them most.
# Packages in NEWEST are exempt from the lowest: `.ci/run` spares itself the gigabytes of CUDA of an old torch.
NEWEST ?=
LOWEST_PYTHON ?= 3.11
HIGHEST_PYTHON ?= 3.13
TESTS ?= tests/nn tests/training tests/preprocessing tests/inspection tests/test_misuse.py tests/test_persistence.py

# A batch is too small to gain from a second thread, and threads that share cores with other work wait for each other.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint types imports tests coverage test-lowest test-highest test-engines test-browser wheel dist check-wheel docs docs-quick bench bench-quick bench-accuracy bench-study fuzz faults format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/installed-dev ## Make .venv with all that development needs

# pip reads groups of dependencies from 25.1 on.
PIP_WITH_GROUPS = "pip>=25.1"
EXTRAS = onnx,plot,progress,service

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade $(PIP_WITH_GROUPS)
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	touch $@

$(VENV)/installed-extras: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	touch $@

$(VENV)/installed-%: $(VENV)/installed-extras
	$(BIN)/python -m pip install --quiet --group $*
	touch $@

$(VENV)-lowest/installed: pyproject.toml .ci/lowest_versions.py
	mkdir -p build
	python$(LOWEST_PYTHON) .ci/lowest_versions.py $(NEWEST) > build/lowest.txt
	python$(LOWEST_PYTHON) -m venv --clear $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --upgrade $(PIP_WITH_GROUPS)
	$(VENV)-lowest/bin/python -m pip install --quiet --constraint build/lowest.txt --editable ".[$(EXTRAS)]" --group dev
	touch $@

$(VENV)-highest/installed: pyproject.toml $(VENV)/installed-dev
	$(BIN)/uv venv --quiet --clear --python $(HIGHEST_PYTHON) $(VENV)-highest
	$(BIN)/uv pip install --quiet --python $(VENV)-highest --editable ".[$(EXTRAS)]" --group dev
	touch $@

demo: $(VENV)/installed ## Train on MovieLens-100K and compare with boosted trees
	$(BIN)/python examples/plot_quickstart.py

test: lint types imports tests check-wheel test-browser ## All checks

lint: venv ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A script of a user, from a folder where the package is found as installed alone, by the marker that it ships.
types: venv ## Type hints
	$(BIN)/mypy
	cd tests && ../$(BIN)/mypy --strict --config-file= test_types.py

imports: venv ## Which package may import which
	$(BIN)/lint-imports

# The tests of a file share its fixtures, and the code of a page its names: a file stays in one process.
PARALLEL = -n auto --dist loadfile

tests: venv ## Tests and doctests
	$(BIN)/pytest $(PARALLEL)

# To trace each line takes a quarter more time.
coverage: venv ## Tests and doctests, with the lines that none runs
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term-missing:skip-covered

test-lowest test-highest: test-%: $(VENV)-%/installed
	$(VENV)-$*/bin/python -m pytest $(PARALLEL) -p no:cacheprovider $(TESTS)

test-lowest: ## A part of the tests (TESTS=... for another) with the lowest supported versions
test-highest: ## The same with the newest

test-engines: $(VENV)/installed-engines ## Batch scoring with Dask, Ray and Spark (which needs Java), on this machine
	$(BIN)/pytest -p no:cacheprovider tests/test_engines.py

test-browser: docs-quick $(VENV)/installed-browser ## The page that scores in the browser, in headless Chromium where it is installed
	SITE=build/docs $(BIN)/pytest -p no:cacheprovider tests/test_browser.py

wheel: venv ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

$(VENV)-dist/installed:
	$(PYTHON) -m venv $(VENV)-dist
	$(subst $(VENV),$(VENV)-dist,$(BIN))/python -m pip install --quiet build twine
	touch $@

dist: $(VENV)-dist/installed ## Build wheel and source distribution into dist/, each isolated, and check their descriptions
	rm -rf dist
	$(subst $(VENV),$(VENV)-dist,$(BIN))/python -m build --outdir dist .
	$(subst $(VENV),$(VENV)-dist,$(BIN))/python -m twine check --strict dist/*

# In a folder of its own, which comes before the working tree on the path.
check-wheel: wheel ## The wheel holds all that importing needs
	rm -rf build/site
	$(BIN)/python -m pip install --quiet --no-deps --target build/site dist/*.whl
	PYTHONPATH=build/site $(BIN)/python -P .ci/check_wheel.py build/site

# Warnings are errors, and so are references to nowhere.
# BROWSER= leaves out the files of the page that scores in the browser, some of which npm brings.
BROWSER ?= 1
SPHINX = $(BIN)/python -m sphinx --quiet --nitpicky --fail-on-warning --keep-going -d build/doctrees $(if $(BROWSER),-t browser)
SITE = $(VENV)/installed-docs $(if $(BROWSER),build/browser/scoring)

# A model of another version of the package may not load.
build/browser/scoring: docs/scoring_page.py $(shell find sk_finalmlp -name '*.py') $(VENV)/installed-docs
	rm -rf $@ $@-part
	$(BIN)/python docs/scoring_page.py $@-part
	mv $@-part $@

docs: $(SITE) ## Build the site into build/docs/, all examples run
	$(SPHINX) docs build/docs
	$(BIN)/python .ci/check_site.py build/docs

docs-quick: $(SITE) ## The same without running the examples, in half a minute
	$(SPHINX) -D plot_gallery=0 docs build/docs
	$(BIN)/python .ci/check_site.py build/docs

bench: $(VENV)/installed-extras ## Measure the speed targets into build/bench/ (half an hour)
	$(BIN)/python examples/benchmarks

bench-quick: $(VENV)/installed-extras ## A part of that, in about five minutes
	$(BIN)/python examples/benchmarks --size quick

bench-accuracy: $(VENV)/installed-peers ## Compare AUC and log-loss with other models, into build/accuracy/ (hours)
	$(BIN)/python examples/benchmarks/accuracy

bench-study: $(VENV)/installed-peers ## Measure what each part of the network is good for, into build/study/ (hours)
	$(BIN)/python examples/benchmarks/study

N ?= 1000
SEED ?= 0

fuzz: venv ## N=1000 generated tables of SEED=0 against what holds for each; ONLY=number shows one
	PYTHONPATH=tests $(BIN)/python -m fuzz $(N) --seed $(SEED) $(if $(ONLY),--only $(ONLY),--growth)

TRIES ?= 50

faults: venv ## Signals, a full disk, threads and processes, TRIES=50 of each, and what is lost by them
	PYTHONPATH=tests $(BIN)/python -m faults --tries $(TRIES)

format: venv ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the environment and all that was built
	rm -rf docs/api/backreferences docs/api/generated docs/auto_examples docs/sg_execution_times.rst
	rm -rf $(VENV) $(VENV)-dist $(VENV)-lowest $(VENV)-highest build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
