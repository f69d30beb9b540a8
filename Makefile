.DEFAULT_GOAL := help
.PHONY: help setup check test chaos hostile mutants bench docs demo up down ps logs scan reconcile schedule invoice-pdf connect-link connections budget disconnect revoke rotate-keys dlq-list dlq-replay why plan erase release reject resolve templates-push templates-status pause resume stops costs answered

SHELL := /bin/sh
BIN := .venv/bin
DEPLOY := @$(BIN)/python -m deploy
need = $(if $(strip $($(1))),,$(error say: make $@ $(1)=…))
some = $(if $(INVOICE),--invoice "$(INVOICE)") $(if $(CONTACT),--contact "$(CONTACT)") $(if $(BY),--by "$(BY)")

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## the tools and Python packages, into .venv and var/tools; every other target does it by itself
	@sh deploy/bootstrap.sh

demo: setup ## everything from nothing, then the whole story told on the sandbox
	$(DEPLOY) demo $(ARGS)

test: setup ## all tests on real servers, three at a time; ARGS="tests/unit -k …" for some, one after the other
	@$(BIN)/pytest $(or $(ARGS),--numprocesses 3 --dist loadscope --no-loadscope-reorder)

check: setup ## lint, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy tests
	@$(BIN)/lint-imports

chaos: setup ## faults under load, judged by the sandbox; CHAOS=pr, night, hostile, points, cluster or faults, DATABASE=sqlite or postgresql, SEED=…, OUT=‹folder›
	@PYTHONPATH=tests $(BIN)/python -m chaos $(or $(CHAOS),pr) $(if $(DATABASE),--database $(DATABASE)) $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out "$(OUT)") $(ARGS)

hostile: setup ## only the attacks on ingress, in full size; SEED=…, OUT=‹folder›
	@PYTHONPATH=tests $(BIN)/python -m chaos hostile $(if $(SEED),--seed $(SEED)) $(if $(OUT),--out "$(OUT)") $(ARGS)

mutants: setup ## known mistakes, each seeded into a copy and noticed by the check that it names; MUTANT=‹name,…› ARGS=--list
	@PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANT) $(ARGS)

bench: setup ## the benchmarks, as ratios in one run
	@$(BIN)/python -m bench $(ARGS)

docs: setup ## write the generated pages of the documentation anew
	@$(BIN)/python -m deploy.documents

up: setup ## servers and services, from .env and the environment; SANDBOX=1, SCALE="fetcher=3 token-broker=2"
	$(DEPLOY) up $(if $(filter-out 0,$(SANDBOX)),--sandbox) --scale "$(SCALE)"

down: setup ## stop them; data stays
	$(DEPLOY) down

ps: setup ## one line per process: service, replica, pid, port, state, address
	$(DEPLOY) ps

logs: setup ## the last log lines; S=fetcher for one service, F=1 to follow
	$(DEPLOY) logs $(S) $(if $(F),--follow)

scan: setup ## look at an organisation's open invoices now; TENANT=…
	$(call need,TENANT)
	$(DEPLOY) scan "$(TENANT)"

reconcile: setup ## look for all that changed in an organisation now; TENANT=…
	$(call need,TENANT)
	$(DEPLOY) reconcile "$(TENANT)"

schedule: setup ## what is scanned and reconciled next, in each organisation's time and UTC; ARGS=--json
	$(DEPLOY) schedule $(ARGS)

invoice-pdf: setup ## an invoice as Xero prints it; TENANT=… INVOICE=‹id or number› > file.pdf
	$(call need,TENANT)
	$(call need,INVOICE)
	$(DEPLOY) invoice-pdf "$(TENANT)" "$(INVOICE)"

connect-link: setup ## print a link; who opens it connects a Xero organisation
	$(DEPLOY) connect-link

connections: setup ## the connected organisations and how their grants do; ARGS=--json
	$(DEPLOY) connections $(ARGS)

budget: setup ## calls and bytes of each organisation today, what is left, who is parked; ARGS=--json
	$(DEPLOY) budget $(ARGS)

disconnect: setup ## end the access to an organisation, at Xero and here; TENANT=…
	$(call need,TENANT)
	$(DEPLOY) disconnect "$(TENANT)"

revoke: setup ## end the whole grant behind an organisation; TENANT=… ARGS=--yes when it has several
	$(call need,TENANT)
	$(DEPLOY) revoke "$(TENANT)" $(ARGS)

rotate-keys: setup ## seal all stored tokens with the first key of DUEBELL_TOKEN_KEYS
	$(DEPLOY) rotate-keys

dlq-list: setup ## the dead letters that wait
	$(DEPLOY) dlq-list

dlq-replay: setup ## send a queue's dead letters back to where they came from; Q=…
	$(call need,Q)
	$(DEPLOY) dlq-replay "$(Q)"

why: setup ## why a customer was, or was not, messaged; TENANT=… ARGS=…
	$(call need,TENANT)
	$(DEPLOY) why "$(TENANT)" $(ARGS)

plan: setup ## who would be messaged when in the next seven days, and why others not; TENANT=… ARGS=--json, --yesterday
	$(call need,TENANT)
	$(DEPLOY) plan "$(TENANT)" $(ARGS)

erase: setup ## take a person's number and name out of everything; CONTACT=‹Xero id or +number› TENANT=… ARGS=--yes does it
	$(call need,CONTACT)
	$(DEPLOY) erase "$(CONTACT)" $(if $(TENANT),--tenant "$(TENANT)") $(ARGS)

release: setup ## let held messages of an organisation go; TENANT=… INVOICE=… CONTACT=… BY=…; ARGS=--list shows what waits
	$(call need,TENANT)
	$(DEPLOY) release "$(TENANT)" $(some) $(ARGS)

reject: setup ## refuse held messages for good; TENANT=… with INVOICE=…, CONTACT=… or ARGS=--all, and BY=…
	$(call need,TENANT)
	$(DEPLOY) reject "$(TENANT)" $(some) $(ARGS)

resolve: setup ## messages nobody knows the end of; TENANT=… ARGS="--invoice … --resend" or --close settles them
	$(call need,TENANT)
	$(DEPLOY) resolve "$(TENANT)" $(ARGS)

pause: setup ## stop messages within two seconds and drop none; TENANT=… for one organisation, BY=‹who›
	$(DEPLOY) pause $(if $(TENANT),"$(TENANT)") $(if $(BY),--by "$(BY)")

resume: setup ## let them go on; TENANT=… for one organisation, BY=‹who›
	$(DEPLOY) resume $(if $(TENANT),"$(TENANT)") $(if $(BY),--by "$(BY)")

stops: setup ## what keeps messages back, and what to do; ARGS=--probe lets one message try each breaker
	$(DEPLOY) stops $(ARGS)

costs: setup ## messages and what they cost, by month, kind and category; TENANT=… for one organisation, ARGS=--json
	$(DEPLOY) costs $(if $(TENANT),--tenant "$(TENANT)") $(ARGS)

answered: setup ## somebody has read a contact's reply, its reminders go on; TENANT=… CONTACT=‹contact or invoice›
	$(call need,TENANT)
	$(call need,CONTACT)
	$(DEPLOY) answered "$(TENANT)" "$(CONTACT)"

templates-push: setup ## make and change templates on the WhatsApp Business Account; what it has already stays
	$(DEPLOY) templates-push

templates-status: setup ## each template's status, category, quality, and what differs; ARGS=--json
	$(DEPLOY) templates-status $(ARGS)
