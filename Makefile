# demo · test · build · install · lint · docs · bench · lab: each target is the lines below it, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := $(CURDIR)/.venv
LAB := $(CURDIR)/target/lab/lab
export PATH := $(VENV)/bin:$(PATH)

# Chosen out of the workspace, not by package: so their dependencies have the features that the tests' have, and are
# built once for both.
LAB_BINARIES := lab pct k3s-standin lab-certificates release-server

# The tests' programs have the mode that crashes them: so it costs no build of its own. What is shipped is built without it.
CRASH := --features homelab-k3s/crash

# What is missing on this machine is installed first.
PACKAGES := tests/packages

# Those that the tarball has a program for. Everything else needs this machine's only.
PLATFORMS := x86_64-unknown-linux-musl aarch64-unknown-linux-musl

.PHONY: help demo test quick fuzz build install lint docs samples faults secrets site bench collection reproduce lab lab-programs lab-up lab-down real \
	crash-program crash crash-all

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the two commands of the README -------------------------------------------------------------------

demo: install lab ## Upgrade a k3s cluster in the lab, from nothing (KEEP=1 keeps the lab)
	@lab/demo

test: ## Run every test; the same as .ci/run
	@tests/run

# --- parts of them ------------------------------------------------------------------------------------

# The lab's profile, so that what the lab and the tests share is built once. No documentation has a test in it, and rustdoc
# would look through every crate for one. Tests often wait for the programs that they start: hence more of them than cores.
quick: ## Run only the cargo tests
	cargo build --profile lab --workspace $(CRASH) --examples --quiet
	RUST_TEST_THREADS=$$(( 2 * $$(nproc) )) cargo test --profile lab --workspace $(CRASH) --tests --quiet --no-fail-fast

SECONDS ?= 60
fuzz: ## Run one fuzz target (TARGET=kubeconfig SECONDS=600); their names are in fuzz/fuzz_targets
	fuzz/run '$(TARGET)' '$(SECONDS)'

$(VENV)/.done: requirements.txt
	@echo "== Python environment in .venv"
	@$(PACKAGES)
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

build: ## Build the static program of all modules for this architecture
	@$(PACKAGES)
	cargo xtask install

install: $(VENV)/.done build ## Install program and stubs into plugins/modules; make the checkout the collection
	@mkdir -p .dev/ansible_collections/homelab
	@ln -sfn ../../.. .dev/ansible_collections/homelab/k3s

lint: install ## Check formatting, clippy, documentation against types, other people's crates, Ansible's linters
	cargo fmt --all --check
	cargo clippy --profile lab --workspace --all-targets --quiet -- --deny warnings
	cargo xtask check
	cargo deny --locked check --hide-inclusion-graph --deny unmatched-skip bans licenses sources
	yamllint --strict .
	ansible-lint --offline --strict

docs: ## Generate the tables and pages of the documentation
	cargo xtask docs

target/site-env/.done: docs/site/requirements.txt
	python3 -m venv target/site-env
	target/site-env/bin/pip install --quiet --disable-pip-version-check --requirement docs/site/requirements.txt
	@touch $@

faults: install lab ## Make every fault of tests/lab/faults.yaml in the lab, and write docs/faults.md; root
	python3 tests/lab/matrix.py
	FAULTS=all pytest --quiet tests/lab/test_faults.py

secrets: install lab ## Run every documented command in the lab, and search for secrets where none belongs; root
	SECRETS=all pytest --quiet tests/lab/test_secrets.py

site: target/site-env/.done ## Build the site of the documentation into target/site, with its links checked
	target/site-env/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml

samples: install lab ## Run the documented commands in the lab, and write what they print into the playbooks' pages
	rm -rf target/samples
	SAMPLES=$(CURDIR)/target/samples pytest --quiet tests/lab/test_guide.py -k every_documented_command
	python3 tests/lab/samples.py target/samples

bench: install lab ## Measure the costs beside what others use, and write docs/benchmarks.md
	benches/run

collection: install ## Build the tarball for ansible-galaxy, for x86-64 and ARM
	@$(PACKAGES) cross
	cargo xtask install $(PLATFORMS:%=--target %)
	tests/arm
	tests/tarball

reproduce: install ## Build program and tarball a second time in another folder; they must be the same bytes
	tests/reproduce

# --- the lab ------------------------------------------------------------------------------------------

lab-programs:
	@echo "== the lab's programs"
	@$(PACKAGES)
	cargo build --quiet --profile lab --workspace $(CRASH) $(LAB_BINARIES:%=--bin %)
	@$(LAB) setup

lab: lab-programs ## Build the lab's programs, and install their Debian packages
	cargo xtask static lab-pod target/lab/static

crash-program: install lab ## Build the program that tests crash
	cargo build --quiet --profile lab --workspace $(CRASH) --bin homelab-k3s
	install -D target/lab/homelab-k3s target/crash/homelab-k3s

crash: crash-program ## Crash a playbook in the lab and run it again (SEED=…, PLAYBOOK=upgrade, CASE='k3s_install 3 during')
	lab/apart crash tests/lab/crash/run $(if $(SEED),--seed '$(SEED)') $(PLAYBOOK:%=--scenario %) $(if $(CASE),--case '$(CASE)')

crash-all: crash-program ## Crash every playbook at every point, and write docs/crashes.md; root, hours (PLAYBOOK=upgrade MINUTES=30)
	lab/apart crash tests/lab/crash/run --all $(if $(SEED),--seed '$(SEED)') $(MINUTES:%=--minutes %) $(PLAYBOOK:%=--scenario %)

lab-up: lab ## Start a lab with one controller and two workers
	$(LAB) up

lab-down: ## Remove the lab
	$(LAB) down

real: install lab ## Run the scenarios on a real k3s (LAB_K3S=folder LAB_K3S_INSTALL=script, or K3S_VERSIONS='v… v…'; SCENARIOS=…)
	LAB_K3S='$(LAB_K3S)' LAB_K3S_INSTALL='$(LAB_K3S_INSTALL)' $(LAB) real $(SCENARIOS) $(if $(K3S_VERSIONS),--download $(K3S_VERSIONS))
