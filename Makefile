# `make` lists the targets. The virtual environment in .venv is updated when a lock file changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
BENCH := $(VENV)/bench.stamp
DOCS := $(VENV)/docs.stamp
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check --no-input
PYTEST = $(PY) -m pytest -q --dist worksteal --hypothesis-profile quick
# Unit tests compute, on two cores; the others wait for half of their time, each process with servers of its own.
COMPUTING := --numprocesses 2
WAITING := --numprocesses 3
# The first suitable interpreter; `make PYTHON=/path/to/python3.12` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(RUNTIME) ## Classify sample tickets and notify their agents; needs no service
	@$(VENV)/bin/aura demo

.PHONY: run
run: $(RUNTIME) ## Run web, workers and scheduler in one process
	@$(VENV)/bin/aura run

.PHONY: lint
lint: $(DEV) ## Run linters, type checks, import rules and the vocabulary check
	@echo "check: ruff"; $(VENV)/bin/ruff check --quiet .; $(VENV)/bin/ruff format --quiet --check .
	@echo "check: mypy"; $(VENV)/bin/mypy --no-error-summary
	@echo "check: imports"; out=$$($(VENV)/bin/lint-imports --no-logo) || { echo "$$out"; exit 1; }
	@echo "check: vocabulary"; $(PY) -m tests.vocabulary

.PHONY: check
check: lint ## Run lint and the unit tests; starts no service
	@echo "check: unit tests"; $(PYTEST) $(COMPUTING) -m "not integration and not acceptance and not slow"

.PHONY: test
test: check ## Run check, then the slow tests and the tests with RabbitMQ, PostgreSQL and Redis
	@if $(PY) -m tests.services --install; then \
		echo "test: integration, acceptance, slow"; \
		$(PYTEST) $(WAITING) -m "integration or acceptance or slow"; \
	elif docker info >/dev/null 2>&1; then \
		echo "test: in a container instead"; docker compose -f deploy/tests/docker-compose.yml run --rm tests; \
	else exit 1; fi

# SEED=7 repeats the schedules of a run; each run prints its own first.
.PHONY: chaos
chaos: $(DEV) ## Inject faults for a long time and prove that no ticket is lost
	@$(PY) -m tests.services --install
	@echo "chaos: 10,000 tickets while workers die every two seconds"; \
		$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) --tickets 10000 --mail-every 5 --seconds 60 \
		--faults 'worker_killed*30,rabbitmq_killed*3,postgresql_restarted*2,relay_killed*2'
	@echo "chaos: every fault, twice"; \
		$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) --tickets 3000 --seconds 300 --openai --faults 'all*2'
	@echo "chaos: every failpoint twenty times, every mutant, a poison ticket among a thousand, 2,000 tickets on three channels"; \
		CHAOS_TIMES=20 CHAOS_TICKETS=1000 CHAOS_CHANNEL_TICKETS=2000 CHAOS_READ_ONLY=30 $(PY) -m pytest -q tests/chaos
	@echo "chaos: ten thousand histories of urgent tickets, incidents and preferences, two hundred of them on the database"; \
		CHAOS_HISTORIES=10000 $(PY) -m pytest -q -o faulthandler_timeout=0 tests/unit/notifications/test_decide_urgent.py \
		tests/unit/actors/test_notify_urgent.py
	@echo "chaos: five times as many examples of every property"; $(PY) -m pytest -q -m "hypothesis and not acceptance" tests/unit
	@echo "chaos: ten thousand mutated envelopes into each queue, fifteen hundred histories of jobs"; \
		CHAOS_ENVELOPES=10000 CHAOS_EXAMPLES=1500 $(PY) -m pytest -q -o faulthandler_timeout=0 \
		tests/integration/test_fuzz.py tests/unit/jobs/test_state_machine.py
	@echo "chaos: 2,000 tickets while honcho's processes are stopped in turn, an upgrade with a million tickets in the tables"; \
		CHAOS_PROCFILE_TICKETS=2000 CHAOS_UPGRADE_ROWS=1000000 CHAOS_UPGRADE_TICKETS=600 \
		$(PY) -m pytest -q -o faulthandler_timeout=0 tests/acceptance/test_upgrade.py tests/acceptance/test_procfile.py
	@echo "chaos: the runs of every day of ten years in all time zones"; \
		CRONTAB_SCAN=all $(PYTEST) $(COMPUTING) tests/unit/pipelines/test_crontab.py
	@echo "chaos: a RabbitMQ cluster whose nodes die, restart and are cut off for 45 seconds, and a suspended relay"; \
		CHAOS_PARTITION=45 $(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) --cluster --tickets 2000 --seconds 600 --pause 10 \
		--faults 'cluster*2,relay_suspended*3,worker_killed*5'
	@echo "chaos: two schedulers, one of which is suspended for a minute"; \
		CHAOS_SCHEDULER_LEASE=15 CHAOS_SCHEDULER_STOPPED=60 $(PY) -m pytest -q -o faulthandler_timeout=0 tests/integration/test_two_schedulers.py

.PHONY: mutants
mutants: $(DEV) ## Remove each protection in turn and check that its tests fail
	@MUTANTS=all $(PYTEST) $(COMPUTING) -m slow tests/mutants

.PHONY: bench
bench: $(BENCH) ## Measure throughput, cost and latency, compared with other libraries
	@$(PY) -m bench

.PHONY: bench-growth
bench-growth: $(BENCH) ## Measure how the cost of statements grows with tables and backlog
	@$(PY) -m bench.growth

.PHONY: bench-relay
bench-relay: $(BENCH) ## Measure the relay alone
	@$(PY) -m bench.relay

.PHONY: bench-reanalysis
bench-reanalysis: $(BENCH) ## Measure the latency of new tickets during re-analysis
	@$(PY) -m bench.reanalysis

.PHONY: bench-hanging
bench-hanging: $(BENCH) ## Measure the latency of other channels while one hangs
	@$(PY) -m bench.hanging

.PHONY: bench-mail
bench-mail: $(BENCH) ## Measure the import of mails from a Maildir
	@$(PY) -m bench.mail

# SOAK_TICKETS=20000 SOAK_SECONDS=300 make soak is a shorter one.
.PHONY: soak
soak: $(BENCH) ## Let a million tickets pass for an hour at most, and check that memory, connections and tables stay flat
	@$(PY) -m tests.services --install
	@SOAK_TICKETS=$(or $(SOAK_TICKETS),1000000) SOAK_SECONDS=$(or $(SOAK_SECONDS),3600) $(PY) -m bench.soak

.PHONY: bench-idle
bench-idle: $(BENCH) ## Measure processes that have nothing to do
	@$(PY) -m bench.idle

.PHONY: bench-shares
bench-shares: $(BENCH) ## Measure fair shares: others during a flood, and the cost of a dispatch in turn
	@$(PY) -m bench.shares

.PHONY: bench-retention
bench-retention: $(BENCH) ## Measure retention by DELETE and by DROP of a partition
	@$(PY) -m bench.retention

.PHONY: attacks
attacks: $(BENCH) ## Attack the limits of web and worker; prints memory and latencies
	@$(PY) -m bench.attacks

.PHONY: docs
docs: $(DOCS) ## Build the documentation into build/docs
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "docs: build/docs/index.html"

.PHONY: docs-serve
docs-serve: $(DOCS) ## Show the documentation in a browser while you write it
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs serve --strict

.PHONY: reference
reference: $(DEV) ## Generate the reference pages of settings and command line
	@$(PY) -m tests.reference_pages

.PHONY: images
images: $(DEV) ## Take the screenshots of docs/images
	@$(PY) -m tests.acceptance.images

$(BENCH): requirements-bench.txt $(DEV)
	@echo "install: requirements-bench.txt"; $(PIP) install --require-hashes -r requirements-bench.txt
	@touch $@

$(DOCS): requirements-docs.txt $(DEV)
	@echo "install: requirements-docs.txt"; $(PIP) install --require-hashes -r requirements-docs.txt
	@touch $@

# The lock also holds setuptools, which builds the project without asking an index. LOCK=--upgrade takes newer versions.
COMPILE = echo 'setuptools>=77' | $(PY) -m uv pip compile - setup.cfg --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK)

.PHONY: lock
lock: $(PY) ## Write the lock files from setup.cfg
	@$(PIP) install uv
	@$(COMPILE) --output-file requirements.txt >/dev/null
	@$(COMPILE) --constraints requirements.txt --extra oauth --output-file requirements-oauth.txt >/dev/null
	@$(COMPILE) --constraints requirements-oauth.txt --extra test --extra learn --extra apprise --extra pdf --extra s3 --extra tracing --extra sentry --extra oauth --output-file requirements-dev.txt >/dev/null
	@$(COMPILE) --constraints requirements-dev.txt --extra bench --output-file requirements-bench.txt >/dev/null
	@$(COMPILE) --constraints requirements-dev.txt --extra docs --output-file requirements-docs.txt >/dev/null
	@echo "lock: requirements.txt, requirements-oauth.txt, requirements-dev.txt, requirements-bench.txt, requirements-docs.txt"

.PHONY: audit
audit: $(DEV) ## Look for known vulnerabilities; exit code 1: found, 3: an advisory service is not reachable
	@$(PY) -m tests.supply audit || { code=$$?; echo "audit: exit code $$code" >&2; exit $$code; }

.PHONY: sbom
sbom: $(DEV) ## Write the software bill of materials (CycloneDX) into build/sbom
	@$(PY) -m tests.supply sbom

.PHONY: pin-image
pin-image: $(DEV) ## Write the digest of the base image into the Dockerfile; needs docker and its registry
	@$(PY) -m tests.supply image

.PHONY: release-check
release-check: $(DEV) ## Check that the base image has a digest
	@$(PY) -m tests.supply release

.PHONY: release-archive
release-archive: $(DEV) ## Write tests/data/aura-VERSION.tar.xz for the upgrade test; COMMIT=v0.2.0 takes another one than HEAD
	@$(PY) -m tests.release_archive $(COMMIT)

.PHONY: clean
clean: ## Remove the virtual environment and all build output
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.txt setup.cfg pyproject.toml | $(PY)
	@echo "install: requirements.txt"; $(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

# The development lock holds the runtime lock, so one installation serves both.
$(DEV): requirements-dev.txt requirements.txt setup.cfg pyproject.toml | $(PY)
	@echo "install: requirements-dev.txt"; $(PIP) install --require-hashes -r requirements-dev.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation -e .
	@touch $(RUNTIME) $@

define NO_PYTHON
make: Aura needs Python 3.11 or newer; "$(or $(PYTHON),python3)" is not. Install one, or name it: make PYTHON=/path/to/python3.12
endef

$(PY):
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo '$(NO_PYTHON)' >&2; exit 1; }
	@echo "venv: $$($(PYTHON) --version)"; rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		rm -rf $(VENV); \
		package="$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
		install="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$package"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "venv: installing $$package"; bash -c "$$install" >/dev/null; $(PYTHON) -m venv $(VENV); \
		else \
			echo "make: $(PYTHON) has no venv module; run: sudo bash -c '$$install'" >&2; exit 1; \
		fi; }
