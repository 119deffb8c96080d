# One command for each thing a person does here; `make help` lists them. Each target does its own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
HOST ?= demo
# What `make integration` runs: folders or files of tests/integration. The others have targets of their own, below.
INTEGRATION ?= test_testbed_engines.py core dirs engine mounts stack_97layer site compose/test_compose_rollback.py
# The engines the testbed started, for the shell that uses them.
TESTBED = eval "$$(python tests/testbed/testbed.py env)"
# Folders with compose files for `make corpus`; by default a few of our own, in the manner of public ones.
FOLDERS ?= tests/corpus/stacks
# What a person gives to a run, for example: make demo ARGS='-e onebox_engine=docker'
ARGS ?=

# Per checkout, so that two checkouts on one machine do not share Molecule's state; also silences facts as variables.
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export LC_ALL := C.UTF-8
# With it, Python reads a module that Ansible passes to it byte by byte: a second more in each run.
unexport PYTHONUNBUFFERED

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo demo-down verify plan test lint build docs import check outside matrix sanity unit testbed testbed-down integration molecule bench clean \
  attacks corpus test-arm test-baseline test-compose test-backup faults-backup test-oci e2e-oci test-machine test-quadlet test-stacks test-state test-swarm test-watch report

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## .venv and .collections for running the playbooks
	@$(PYTHON) tools/setup.py

setup-dev: ## the same, and what the tests need
	@$(PYTHON) tools/setup.py --dev

demo: setup ## run the 97layer stack on this machine, prove it, report
	@ansible-playbook site.yml -l demo $(ARGS)

demo-down: setup ## remove all that make demo made, except data
	@ansible-playbook playbooks/down.yml -l demo -e confirm=97layer $(ARGS)

check: setup ## check the values of a host before anything runs: make check HOST=demo
	@ansible-playbook playbooks/check.yml -l $(HOST) $(ARGS)

verify: setup ## prove every mount again: make verify HOST=demo
	@ansible-playbook playbooks/verify.yml -l $(HOST) $(ARGS)

report: setup ## show the last reports and write report.html about all hosts
	@ansible-playbook playbooks/report.yml $(ARGS)

test: testbed ## everything but the heavier tiers below
	@tools/lanes "lint sanity unit outside" "integration molecule"

lint: setup-dev ## ansible-lint, yamllint, ruff, mypy, changelog and documentation lint, Galaxy's importer
	@tools/lint

build: setup-dev ## the collection as it is published, in .cache/artefact
	@python tools/artefact.py build

docs: setup-dev ## the documentation site in .cache/site, without a warning
	@python tools/docs_site.py

import: setup-dev ## build the collection and import it as Galaxy does
	@python tools/artefact.py import

sanity: setup-dev ## ansible-test sanity
	@tools/sanity

unit: setup-dev ## unit tests: no engine, no root
	@pytest -q tests/unit

outside: testbed ## the built collection in an empty environment, away from this clone
	@$(TESTBED) && pytest -q tests/outside

matrix: setup-dev ## every supported ansible-core on every Python that is here, with sanity tests
	@python tools/matrix.py $(MATRIX)

testbed: setup-dev ## the engines and images the integration tests use
	@python tests/testbed/testbed.py up

testbed-down: ## stop what the testbed started
	@$(PYTHON) tests/testbed/testbed.py down

integration: testbed ## the modules against real engines
	@$(TESTBED) && pytest -q $(addprefix tests/integration/,$(INTEGRATION))

molecule: setup-dev ## the roles on systemd hosts
	@pip install --quiet --disable-pip-version-check -r requirements-oci.txt
	@python tests/testbed/testbed.py molecule

test-compose: testbed ## heavier: every change on every engine and compose tool, kill -9 in the middle
	@$(TESTBED) && pytest -q tests/integration/compose

test-backup: testbed ## heavier: backups of real PostgreSQL, Redis and restic, faults included
	@$(TESTBED) && pytest -q tests/integration/backup
	@$(TESTBED) && python tests/testbed/backup/images.py --save pg17 valkey8
	@python tests/testbed/testbed.py molecule test -s backups_rebuild

faults-backup: testbed ## heavier: hundreds of kills, a thousand flipped bits, full disks: each with its count
	@$(TESTBED) && OBX_FAULTS=full pytest -q $(addprefix tests/unit/backup/test_backup_,runs.py kills.py files_store.py retention.py repository_attacks.py) \
	  $(addprefix tests/integration/backup/test_backup_,faults.py faults_restic.py faults_stack.py faults_kinds.py)

attacks: testbed ## heavier: what a hostile or careless user does, kind by kind, with how many got through
	@$(TESTBED) && OBX_FAULTS=full pytest -q tests/attacks

corpus: testbed ## how many of other people's compose stacks would deploy: make corpus FOLDERS="..."
	@$(TESTBED) && PYTHONPATH=.collections python tests/corpus/measure.py $(FOLDERS)

test-oci: testbed ## heavier: the launcher and the role against a cloud that verifies signatures
	@pip install --quiet --disable-pip-version-check -r requirements-oci.txt
	@$(TESTBED) && pytest -q tests/integration/oci

e2e-oci: testbed ## heavier: from no VM at all to coinpilot, on a fake cloud that starts real machines
	@pip install --quiet --disable-pip-version-check -r requirements-oci.txt
	@$(TESTBED) && pytest -q -s tests/e2e/oci

test-arm: setup-dev ## heavier: a stack on Debian 13 with an Arm processor, which qemu emulates: deploy, proof, backup, restore
	@pytest -q -s tests/e2e/arm

test-machine: testbed ## heavier: podman machine by three real clients, then one that really boots
	@$(TESTBED) && pytest -q tests/integration/vm
	@tests/testbed/mac/boot_tier

test-baseline: setup-dev ## heavier: a fresh Debian 12 and 13 with the firewall rules of Oracle's images, made ready
	@python tests/testbed/testbed.py molecule test -s host_baseline

test-quadlet: testbed ## heavier: twelve stacks by podman-compose and by quadlets compared, rollback and takeover, the scenario quadlet
	@$(TESTBED) && pytest -q -s $(addprefix tests/integration/compose/test_quadlet_,equality.py host.py)
	@python tests/testbed/testbed.py molecule test -s quadlet

test-watch: testbed ## heavier: 69 simulated faults and real ones, each named with its command, and a month without a false alarm
	@python tests/testbed/testbed.py molecule test -s watch
	@$(TESTBED) && OBX_FAULTS=full pytest -q tests/unit/watch tests/integration/watch tests/integration/monitoring

test-state: testbed ## heavier: 37 layouts of data on two engines with the rows that down and up lose, moves, a lost host that continues on Podman
	@$(TESTBED) && OBX_FAULTS=full pytest -q -s tests/integration/mounts/test_mounts_state_layouts.py tests/integration/backup/test_backup_moves.py
	@$(TESTBED) && python tests/testbed/backup/images.py --save pg17
	@python tests/testbed/testbed.py molecule test -s state

test-stacks: setup-dev ## heavier: coinpilot, nightguard, observer and omnivibe with the inventory's values
	@for name in coinpilot nightguard observer omnivibe; do python tests/testbed/testbed.py molecule test -s $$name || exit 1; done

test-swarm: testbed ## heavier: a stack on a Swarm of three hosts, one of which is lost, and back to one host; then observer and coinpilot
	@$(TESTBED) && OBX_FAULTS=full pytest -q -s $(addprefix tests/integration/compose/test_swarm_,deploy.py image_stores.py known.py under_load.py)
	@for name in swarm swarm_systems; do python tests/testbed/testbed.py molecule test -s $$name || exit 1; done

bench: testbed ## ratios against what one would use instead
	@pip install --quiet --disable-pip-version-check -r requirements-oci.txt
	@$(TESTBED) && python benchmarks/run.py

clean: ## forget everything this checkout built
	rm -rf .venv .collections .ansible .cache
