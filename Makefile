# The same verbs for people, the gate and CI. Workflows call pytest themselves: make turns every failure into exit 2.
#
# CONTEXT  the world to look at: a name in contexts/, or a path
# DIR      the checkout whose workflows are judged (make workflows)
# RUN      the run to watch (make watch): its number, or latest
# ARGS     more for pytest, such as ARGS=-v, or ARGS='-k disk-room' for a part run

.DEFAULT_GOAL := help
SHELL := /bin/sh
.SHELLFLAGS := -euc
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest
WORLD = $(if $(CONTEXT),--context='$(CONTEXT)')

.PHONY: help workflows look demo context doctor ci-quick ci-local nightly drill-failover drill-rollback drill-serialization failover rollback metrics watch bundle lab-up lab-down prove recordings bench dist test test-all lint parser lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  with CONTEXT=name (of contexts/, or a path) and ARGS='…' for pytest"

look: .venv/run ## replay a shipped recording of a bad night, on any system, without root
	@$(PYTEST) --seen=contexts/recordings/night --profile nightly $(ARGS) || test $$? -eq 1

workflows: .venv/run ## judge the workflow files of a checkout, DIR=path: no token, no hosts, a second
	@$(PYTEST) --workflows='$(if $(DIR),$(DIR),.)' $(WORLD) $(ARGS)

demo: .venv/run ## the gate, for real, against hosts of our own: three verdicts
	@$(BIN)/python -m lab.demo

context: .venv/run ## draft a context from what GitHub shows of REPO=owner/name, with the approvals left blank
	@test -n "$(REPO)" || { echo "which repository? make context REPO=owner/name" >&2; exit 4; }
	@$(BIN)/python -m fixtures.draft '$(REPO)' $(ARGS)

doctor: .venv/run ## what the token and SSH allow, and which checks will be unknown
	@$(BIN)/python -m fixtures.doctor $(WORLD) $(ARGS)

ci-quick: .venv/run ## may production be deployed now, and on which runner?
	@$(PYTEST) --profile quick $(WORLD) $(ARGS)

nightly: .venv/nightly ## every check there is
	@$(PYTEST) --profile nightly $(WORLD) $(ARGS)

rollback: .venv/run ## what a rollback needs, no more
	@$(PYTEST) --profile rollback $(WORLD) $(ARGS)

drill-rollback: .venv/run ## kill deploys on the rehearsal target between their steps, and walk the way back there; ARGS=--plan says how
	@$(PYTEST) --drill -k 'rollback/interrupted or rollback/returns' $(WORLD) $(ARGS)

metrics: .venv/run ## a run of PROFILE (quick), its metrics put INTO the folder of node_exporter's textfile collector
	@test -n "$(INTO)" || { echo "where to? make metrics INTO=/var/lib/prometheus/node-exporter" >&2; exit 4; }
	@code=0; $(PYTEST) -q --profile '$(if $(PROFILE),$(PROFILE),quick)' $(WORLD) $(ARGS) || code=$$?; test $$code -le 1 || exit $$code; $(BIN)/python -m reports.textfile '$(INTO)'

drill-failover: .venv/run ## a drill: take the primary away, and see the standby take over (HOW=…; ARGS=--plan says what it would do)
	@$(PYTEST) --drill -k failover/takeover $(if $(HOW),--how='$(HOW)') $(WORLD) $(ARGS)

drill-serialization: .venv/run ## a drill: canary deploys ask for the lock at once
	@$(PYTEST) --drill -k serialization/waits-its-turn $(WORLD) $(ARGS)

failover: .venv/run ## the failover checks alone, in an incident; no clearance
	@$(PYTEST) -k failover $(WORLD) $(ARGS)

watch: .venv/run ## watch a deploy until its end: RUN=its number (or the newest), CANCEL=1 cancels one that cannot end well
	@$(PYTEST) --watch='$(if $(RUN),$(RUN),latest)' $(if $(filter-out 0,$(CANCEL)),--cancel) $(WORLD) $(ARGS)

ci-local: .venv/nightly ## everything, against the lab
	@$(BIN)/python -m lab up
	@$(PYTEST) --profile nightly --context=.lab/context.yml $(ARGS); code=$$?; $(BIN)/python -m lab down; exit $$code

lab-up: .venv/run ## bring up the lab: two hosts and a GitHub stand-in
	@$(BIN)/python -m lab up

lab-down: .venv/run ## remove the lab, without a trace
	@$(BIN)/python -m lab down

bundle: .venv/run ## the last run, its report and what it saw, as one archive for an incident
	@$(BIN)/python -m reports.bundle $(ARGS)

prove: .venv/nightly ## every check seen red by its faults and green under all others
	@$(BIN)/python -m lab.prove -j 2 $(ARGS)

recordings: .venv/nightly ## the shipped recordings made anew, from the lab
	@$(BIN)/python -m lab.record

bench: .venv/nightly ## how long the gate takes beside one ssh and plain testinfra, and scanning logs beside grep (minutes)
	@$(BIN)/python -m lab.bench $(ARGS)
	@$(BIN)/python -m tests.benchlogs

dist: ## a release archive and its checksum, from a clean commit: the same commit gives the same bytes
	@test -z "$$(git status --porcelain)" || { echo "make dist takes a clean commit; git status has changes" >&2; exit 4; }
	@mkdir -p dist
	@name=runner-preflight-$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml); git -c core.autocrlf=false archive --format=tar --prefix=$$name/ HEAD | gzip -9 -n > dist/$$name.tar.gz; cd dist; sha256sum $$name.tar.gz | tee $$name.tar.gz.sha256

test: .venv/dev ## the suite's own tests, in about ten minutes on two cores
	@$(PYTEST) tests -n 2 --dist loadgroup -m "not slow" $(ARGS)

test-all: .venv/dev lint ## all of the suite's own tests, and the proof (hours); installs what they look through
	@$(BIN)/python -m lab.need all
	@if command -v npm >/dev/null; then $(MAKE) parser; fi
	@$(PYTEST) tests -n 2 --dist loadgroup $(ARGS)
	@$(BIN)/python -m lab.prove -j 2

lint: .venv/dev ## types and style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

parser: .venv/parser/validate.bundle.mjs ## GitHub's own parser of workflow files, which some tests compare with (needs node)

lock: ## pin requirements*.in again, with hashes (needs uv)
	@for name in requirements requirements-nightly requirements-dev; do uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $$name.in -o $$name.txt; done

clean: ## remove what make made here
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis reports/latest

# Set-up is implicit: made once, and again only when the lock changes.
.venv/run: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed: sudo apt-get install -y python3 python3-venv" >&2; exit 4; }
	@echo "setting up .venv (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# The scanner of job logs: for the nightly, and for nobody else.
.venv/nightly: requirements-nightly.txt .venv/run
	@echo "setting up .venv for the nightly (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-nightly.txt
	@touch $@

# One file of plain JavaScript: as it is published, the package does not load in every version of node.
.venv/parser/validate.bundle.mjs: tests/parser/package-lock.json tests/parser/validate.mjs tests/parser/evaluate.mjs
	@echo "setting up GitHub's parser (once)"
	@mkdir -p .venv/parser && cp tests/parser/* .venv/parser/
	@cd .venv/parser && npm ci --silent --no-audit --no-fund --ignore-scripts && for one in evaluate validate; do npx esbuild $$one.mjs --bundle --platform=node --format=esm --log-level=error --outfile=$$one.bundle.mjs --banner:js="import{createRequire}from'module';const require=createRequire(import.meta.url);"; done

.venv/dev: requirements-dev.txt .venv/run
	@echo "setting up .venv for the tests (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m lab.need
	@touch $@
