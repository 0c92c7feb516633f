# The commands of the project. `make demo` and `make test` do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DRIVER ?= sqlite
ROUNDS ?= 100
SERVERS ?= 1
REQUESTS ?= 150000
MINUTES ?= 30
WORKERS ?= 4
FROZEN := protos/frozen.binpb

.PHONY: demo picture test page-test screenshots examples integrations check clients gen lint types charts alerts k8s-test sbom bench bench-peers torture torture-rules fuzz soak clean mcp

# What tests and checks need, once for each state of pyproject.toml.
$(VENV)/.installed: pyproject.toml
	@$(MAKE) --no-print-directory $(VENV)/bin/python
	@echo "Installing memsvc with all that its tests need into $(VENV): once, a minute or two, 430 MB."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.serving

# What a server needs, and no more.
$(VENV)/.serving: pyproject.toml
	@$(MAKE) --no-print-directory $(VENV)/bin/python
	@echo "Installing memsvc and the libraries of its server into $(VENV): once, some 20 seconds, 70 MB."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("memsvc needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	@echo "Making $(VENV) with $$($(PYTHON) --version)."
	@$(PYTHON) -m venv $(VENV)

# A sidecar on SQLite learns from a conversation and shows context. No key and no server needed.
demo: $(VENV)/.serving
	@$(BIN)/memsvc demo

# Draw what the demo prints, for README.md.
picture: $(VENV)/.serving
	$(BIN)/memsvc demo --svg docs/demo.svg

# Every test. Most of them wait for servers and disks: so several run at once.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# The page to see and manage memories, in browsers. Needs Debian's chromium (/usr/bin/chromium); no part of CI.
page-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/page/requirements.txt
	MEMSVC_TEST_PAGE=1 $(BIN)/python -m pytest -q tests/page $(ARGS)

# Take the pictures of docs/page.md anew.
screenshots: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/page/requirements.txt
	MEMSVC_TEST_PAGE=screenshots $(BIN)/python -m pytest -q tests/page/test_screenshots.py

# Run every example against a scripted model; EXAMPLES_MODEL=gpt-5-mini asks a real one.
examples: $(VENV)/.installed
	$(BIN)/python tools/run-examples $(ONLY)

# The adapters to agent frameworks, each against the real package in an environment of its own, kept in ~/.cache/memsvc.
integrations: $(VENV)/.installed
	$(BIN)/python tools/integrations $(ONLY)

# What CI checks besides the tests.
check: lint types
	$(BIN)/buf lint
	$(BIN)/buf breaking --against $(FROZEN)
	tools/check-generated

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

# What each client has to pass by the tools of its own language, two at once, then the contract, over all of them. Needs Go, Node 20 and Maven.
clients: $(VENV)/.installed
	printf '%s\0' clients/*/check | xargs -0 -n 1 -P 2 env
	$(BIN)/python -m tests.contract --check-table

# Generate memsvc/v1 and docs/openapi.yaml from protos/, compile the SQL of the SQL drivers, write the reference of the configuration,
# the charts' schemas, and what an admission policy makes of the settings' names.
gen: $(VENV)/.installed
	tools/generate .
	tools/openapi
	tools/compile-sql drivers/memsvc_drivers
	tools/configuration-reference
	tools/chart-schemas
	tools/chart-readmes
	MEMSVC_UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/kubernetes/test_charts.py -k "golden_file and policy"

# What the charts render, for each file under their ci/, against what a platform team demands. `make test` does that too,
# with Helm's library; here Helm itself renders them as well, or the one of MEMSVC_TEST_HELM, and kube-score reads them (built by
# Go, once: minutes).
charts: $(VENV)/.installed
	MEMSVC_TEST_HELM="$${MEMSVC_TEST_HELM:-build}" MEMSVC_TEST_KUBE_SCORE=build $(BIN)/python -m pytest -q tests/kubernetes/test_charts.py

# Prometheus' own parser on the alerts and the dashboard's queries: built by Go, once.
alerts: $(VENV)/.installed
	MEMSVC_TEST_PROMETHEUS=build $(BIN)/python -m pytest -q tests/integration/http/test_metrics.py -k "queries or query"

# Every chart, and each way of injection, on a real API server of Kubernetes with etcd (Debian's etcd-server, kubectl). The
# server and helm are built by Go, once, which takes ten minutes of a processor, and kept in ~/.cache/memsvc.
k8s-test: $(VENV)/.installed
	MEMSVC_TEST_KUBERNETES=build $(BIN)/python -m pytest -v --timeout 7200 tests/kubernetes/cluster $(ARGS)

# What the image installs, as CycloneDX has it: dist/memsvc-sbom.json.
sbom: $(VENV)/.installed
	tools/sbom dist/memsvc-sbom.json

# Hold `memsvc mcp` against the official conformance scenarios. Needs npm; installs 330 MB into ~/.cache/memsvc, once.
mcp: $(VENV)/.installed
	$(BIN)/python tools/mcp-conformance

# ONLY=reads picks one; CHECK=1 fails where a goal is missed.
bench: $(VENV)/.installed
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(CASE),--case $(CASE)) $(if $(CHECK),--check)

# memsvc beside other memories, each in an environment of its own; then docs/performance.md is written. Six minutes, and some for the
# environments, once. ONLY=agno measures memsvc and that one; SHORT=1 less of all; DRAW=1 only writes the page from what was measured.
bench-peers: $(VENV)/.installed
	$(BIN)/python -m bench.peers $(if $(ONLY),--only $(ONLY)) $(if $(SHORT),--short) $(if $(DRAW),--draw)

# Kill a server at random while clients write and learn; nothing may be lost, doubled, left unfinished or refused. Then
# once more with a cache that holds two users. SERVERS=2 DRIVER=patroni, or patroni-hosts: docs/operations/engines.md.
torture: $(VENV)/.installed
	$(BIN)/python -m tests.torture --driver $(DRIVER) --rounds $(ROUNDS) --servers $(SERVERS)
	$(BIN)/python -m tests.torture --driver $(DRIVER) --rounds $(ROUNDS) --servers $(SERVERS) --cache-bytes 20000

# Read 20,000 texts made of the rules engine's own words; none may be an error, or cost another sentence.
torture-rules: $(VENV)/.installed
	RULES_FUZZ_CASES=20000 $(BIN)/python -m pytest -q -p no:randomly --timeout 1800 tests/unit/extraction/test_rules_properties.py

# Send everything that can be sent, drawn from the protos: every answer has to be one that the API allows, and soon.
fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz --requests $(REQUESTS)

# Everything at once for as long as is asked: nothing that the server holds may grow.
soak: $(VENV)/.installed
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

clean:
	rm -rf $(VENV) tmp build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
