# The toolkit's environment, checks and demo; `make help` lists the targets.

SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
ARGS ?=

override VENV := $(abspath $(VENV))
python := $(VENV)/bin/python
shell_files = .ci/run $(sort $(shell find egs2 tools -type f -name '*.sh' -not -path '*/exp/*' -not -path '*/dump/*' -not -path '*/data/*'))
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := all
.PHONY: all help install demo test lint format bench-demo study study-short clean

all: install
	@echo "Ready. 'make demo' runs a whole recipe on synthetic speech; 'make help' lists what else there is."

help: ## show this text
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' Makefile | expand -t 14
	@echo "Variables: VENV=folder of the environment (.venv), PYTHON=interpreter that makes it (python3),"
	@echo "           ARGS=options that demo, test and bench-demo pass on"

install: ## make the environment, or complete the one that VENV names
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev

demo: ## install with the demo's voices, then run the recipe egs2/mini_synth
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev demo
	cd egs2/mini_synth/tokenchain1 && PATH="$(VENV)/bin:$$PATH" VENV="$(VENV)" bash run.sh $(ARGS)

test: ## install what the tests need, then run them
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev demo codecs
	$(python) -m pytest $(ARGS)

lint: | $(python) ## check style, types and shell scripts
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(VENV)/bin/shellcheck -x $(shell_files)

format: | $(python) ## write the code in the project's style
	$(python) -m ruff format .

bench-demo: ## measure the demo from nothing
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev demo
	$(python) tools/bench/demo.py $(ARGS)

study: ## does the chain help? hours of runs on mini_synth and fsdd; interrupted, it goes on
study-short: ## a short form of the study
study study-short:
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev demo
	for recipe in $(study_recipes); do \
	    PATH="$(VENV)/bin:$$PATH" VENV="$(VENV)" bash egs2/$$recipe/tokenchain1/study.sh $(subst -,_,$@) $(ARGS) || exit; \
	done
study: study_recipes := mini_synth fsdd
study-short: study_recipes := mini_synth

clean: ## remove caches and build output; the environment, data and experiments stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find tokenchain_toolkit test tools egs2 -name __pycache__ -type d -prune -exec rm -rf {} +

$(python):
	@PYTHON="$(PYTHON)" tools/install.sh "$(VENV)" dev
