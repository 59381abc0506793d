# The one door. Whatever needs more than three lines lives in tools/.
.DEFAULT_GOAL := help
.PHONY: setup run test check sbom docs fuzz bench bench-peers bench-client fix lock help
export PYTHON

setup: ## install everything into this folder; a second time is quick and harmless
	@tools/python -m tools.setup

run: setup ## serve on http://localhost:8000 with SQLite
	@exec .venv/bin/batonpass serve

test: ## every test: Python on both databases, TypeScript, a real browser (ONLY=python|oldest|typescript|browser)
	@tools/python -m tools.setup $(if $(ONLY),,oldest)
	@.venv/bin/python -m tools.test $(ONLY)

check: setup ## lint, format, types, import layers, TypeScript, the documentation site, known vulnerabilities
	@.venv/bin/python -m tools.check

sbom: setup ## what ships with us, as CycloneDX, in build/sbom.cdx.json
	@.venv/bin/python -m tools.sbom

docs: setup ## the documentation site on http://localhost:8002
	@exec .venv/bin/python -m tools.site --serve

fuzz: setup ## ten minutes of texts that try to be taken for what we issued (MINUTES=10)
	@.venv/bin/python -m tests.fuzz $(MINUTES)

bench: setup ## what it costs, beside what it is compared with (ONLY=refresh: one question)
	@.venv/bin/python -m benchmarks $(ONLY)

bench-peers: setup ## what other libraries' refreshes cost beside ours (installs them into .venv-peers)
	@.venv/bin/python -m tools.peers
	@.venv/bin/python -m benchmarks.peers

bench-client: setup ## what other clients make of the same bad days, beside ours (a minute)
	@.venv/bin/python -m benchmarks.client

fix: setup ## repair what the linters can repair, and format
	@.venv/bin/python -m tools.fix

lock: ## write requirements/*.txt anew, and what package-lock.json lacks
	@tools/python -m tools.lock
	@tools/python -m tools.node_lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
