.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help demo up test quick labelled acceptance deploy-check deploy-trial deploy-trial-in-engine browser image faults faults-choice drills keycloak restore-drill rights simulate lint bench pictures clean lock
# Four services start at once: without stored bytecode each would compile its libraries for seconds.
unexport PYTHONDONTWRITEBYTECODE

# The system's own Python before one that pyenv compiled: built with the compiler's profiles, it is a
# sixth to a half quicker.
SYSTEM_PYTHON = /usr/bin/python3
PYTHON ?= $(shell $(SYSTEM_PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
  2>/dev/null && echo $(SYSTEM_PYTHON) || echo python3)
UV = .venv/bin/uv
# uv does not read pip's settings: pass a city's own mirror on, and trust the system's certificates.
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
export UV_SYSTEM_CERTS ?= 1
PYPROJECTS = pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
MEMBERS = $(patsubst %/pyproject.toml,%,$(filter-out pyproject.toml,$(PYPROJECTS)))

# What runs in production: not the development stack, with its Java and its PostgreSQL.
IMAGE_MEMBERS = $(filter-out libs/devstack,$(MEMBERS))
COMPILE = $(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
  $(addprefix --no-emit-package lastmetre-,$(notdir $(MEMBERS)))

# Workers have a stack each, and much of a test is waiting for a process to start: with two of them a
# third of two cores is idle. Files in the order told, not those of many tests first: the longest have few.
IN_PARALLEL = --numprocesses=3 --dist=loadfile --no-loadscope-reorder

help: ## what there is to do here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 16

demo: .venv/ready ## a sample city, yesterday in a minute, then yours (ONCE=1 stops there)
	@.venv/bin/lastmetre demo $(if $(ONCE),--once)

up: .venv/ready ## the same stack, empty, until Ctrl-C
	@.venv/bin/lastmetre up

# mypy has one processor; the tests that need no server have the other.
test: .venv/ready ## lint, then all tests but those of the next targets, the quick ones first
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint quick
	.venv/bin/pytest $(IN_PARALLEL) --ignore tests/e2e/pages tests/e2e tests/integration

quick: .venv/ready ## tests that need no server
	.venv/bin/pytest -x --numprocesses=2 --ignore tests/deploy/engine tests/unit tests/contract tests/deploy tests/observability tests/simulation tests/labelled

labelled: .venv/ready ## texts that people labelled, and how often the platform agrees
	.venv/bin/pytest -s tests/labelled

acceptance: .venv/ready ## as a person at a terminal: the demo, the stack, ten thousand real requests
	.venv/bin/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests/acceptance

deploy-check: .venv/ready ## image, manifests and compose files, without an engine or a cluster
	.venv/bin/pytest --ignore tests/deploy/engine tests/deploy

deploy-trial: .venv/ready ## one server by a real engine, root, and images made here (CONTRIBUTING)
	tests/deploy/engine/with_engine.sh $(MAKE) --no-print-directory deploy-trial-in-engine

deploy-trial-in-engine:
	$(MAKE) --no-print-directory image IMAGE=lastmetre:trial BASE_IMAGE=lastmetre-base:run BUILD_IMAGE=lastmetre-base:build
	tests/deploy/engine/images.sh
	.venv/bin/pytest -x tests/deploy/engine

browser: .venv/ready ## the pages as their users have them, in Chromium
	.venv/bin/pytest tests/e2e/pages

# Each trial has a mark of its kind: refuses, failover, restore, topics, contracts, brokers, pressure,
# network, stop, start, scaling, kills, builds.
TRIAL = trial$(if $(ONLY), and kind(name='$(ONLY)'))

faults: .venv/ready ## trials of faults on real servers, about an hour (ONLY=restore: of one kind)
	.venv/bin/pytest -s -m "$(TRIAL)" tests/faults

faults-choice: .venv/ready ## the choice of them that continuous integration makes
	LASTMETRE_FAULT_AGE_SECONDS=20 .venv/bin/pytest -s -m "trial and choice" tests/faults

drills: .venv/ready ## alerts fire and resolve, services scale: real Prometheus and Alertmanager, half an hour
	.venv/bin/pytest -s tests/drills

restore-drill: .venv/ready ## everything on one server is lost and comes back from a backup, five minutes
	.venv/bin/pytest -s tests/restore

keycloak: .venv/ready ## sign-in at a real Keycloak (177 MB from Maven Central, some minutes)
	.venv/bin/pytest tests/keycloak

rights: .venv/ready ## Kafka with TLS, SCRAM and the contracts' rights, each taken away in turn, a quarter of an hour
	.venv/bin/pytest -s tests/drills/test_kafka_rights.py

lint: .venv/ready ## ruff, mypy, import rule
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

pictures: .venv/ready ## the pictures in docs/pictures, anew from a demo (needs Chromium)
	@.venv/bin/python -m tests.pictures

simulate: .venv/ready ## the core under drawn faults in virtual time (SEEDS=n, or SEED=x with its trace)
	@.venv/bin/python -m tests.simulation.run $(if $(SEED),--seed=$(SEED),--seeds=$(or $(SEEDS),1000))

bench: .venv/ready ## what a lifecycle costs, next to the floor
	.venv/bin/python -m tests.bench

bench-audit: .venv/ready ## what an audit takes from a checkpoint, next to one of everything (CASES=200000)
	.venv/bin/python -m tests.bench.audit $(if $(CASES),--cases $(CASES))

# The image, from what is checked out. Where nothing can be pulled: tests/deploy/engine/debian_bases.sh.
ENGINE ?= docker
IMAGE ?= lastmetre:$(REVISION)
REVISION = $(shell git rev-parse --short=12 HEAD)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' services/intake/pyproject.toml)

image: ## the image of services and command (IMAGE=, BASE_IMAGE=, BUILD_IMAGE=, PIP_INDEX_URL=, ENGINE=podman)
	$(ENGINE) build --file deploy/image/Dockerfile --tag $(IMAGE) $(BUILD_OPTIONS) \
	  $(foreach name,BASE_IMAGE BUILD_IMAGE PIP_INDEX_URL,$(if $($(name)),--build-arg $(name)=$($(name)))) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) .

clean: ## forget data and caches of this checkout
	rm -rf .venv .cache .lastmetre .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: .venv/ready ## work the locks out anew (needs a network)
	$(COMPILE) pyproject.toml --group dev -o requirements.lock
	$(COMPILE) $(IMAGE_MEMBERS:=/pyproject.toml) -c requirements.lock -o requirements-services.lock
	$(COMPILE) --group image -c requirements.lock -o requirements-image.lock

# Once made, a second run takes no time; a change of the lock or of a member brings it up to date.
.venv/ready: requirements-uv.lock requirements.lock $(PYPROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lastmetre needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(UV) pip install --python .venv --require-hashes -r requirements.lock
	@$(UV) pip install --python .venv --no-deps --no-build-isolation $(foreach member,$(MEMBERS),-e $(member))
	@touch $@
