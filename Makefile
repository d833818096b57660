# Two commands: `make demo` shows the gateway at work, `make test` proves it.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DATA ?= .data/demo
PORT ?= 8080
CEPH := radosgw ceph-mon ceph-osd ceph-common
DEBIAN := chromium dcmtk orthanc orthanc-dicomweb

.PHONY: demo serve test test-only test-long test-ceph coverage coverage-pure fuzz mutants openapi conformance check deps deps-ceph have-deps bench sizes clean

# What running needs; `.venv/ready-to-test` has the tests' tools too.
.venv/ready: pyproject.toml requirements.lock
	$(have-python)
	@$(PYTHON) deploy/environment.py

.venv/ready-to-test: pyproject.toml requirements.lock
	$(have-python)
	@$(PYTHON) deploy/environment.py test

# By the shell, and in words that any Python of any age can read.
define have-python
@command -v "$(PYTHON)" >/dev/null || { \
	echo "There is no $(PYTHON) here: Python 3.11 or later is needed (Debian: apt install python3 python3-venv)."; exit 1; }
@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Python 3.11 or later is needed, and $(PYTHON) is $$("$(PYTHON)" -c 'import sys; print(sys.version.split()[0])'): name another, as in 'make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12'."; exit 1; }
endef

demo: .venv/ready
	@$(BIN)/python deploy/demo.py --data "$(DATA)" --port "$(PORT)"

serve: .venv/ready
	$(BIN)/dicomweb-gateway serve --data .data/serve --port $(PORT)

# Debian's parts: a browser, DICOM tools, and the peer of the benchmarks.
deps:
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN)

# Needed by test-ceph only, so not among what `make test` wants.
deps-ceph:
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(CEPH)

have-deps:
	@if dpkg -s $(DEBIAN) >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory deps; \
	else echo "some tests want Debian's $(DEBIAN): run 'sudo make deps'"; fi

check: .venv/ready-to-test
	$(BIN)/python -m ruff format --check gateway tests deploy
	$(BIN)/python -m ruff check gateway tests deploy
	$(BIN)/python -m tests.prose
	$(BIN)/python -m mypy

test: .venv/ready-to-test have-deps check test-only

# Without format, lint and types.
test-only: .venv/ready-to-test
	$(BIN)/python -m pytest -n 2 --dist loadscope --rows=check -m 'not long and not ceph and not fuzz' $(PYTEST_MORE)

# Branch coverage of all by `test-only`, servers and commands that tests start among it; the floor is in pyproject.toml.
# Twice the time of `test-only`: before a release.
coverage: .venv/ready-to-test
	$(call measured,-m 'not long and not ceph and not fuzz' --rows=check $(PYTEST_MORE))
	@$(BIN)/python -m coverage report

# Of the pure rooms by their own tests, three minutes: part of .ci/run. The floor is the figure of the day, with the
# corpus and without, less a point.
PURE := gateway/dicom/*,gateway/http/parameters/*,gateway/http/negotiation/*,gateway/render/stages/*
PURE_TESTS := tests/dicom tests/http/parameters tests/http/negotiation tests/render/stages
# Bounds of memory, in processes of their own that are not measured.
PURE_TESTS += --ignore=tests/dicom/encoding/test_wide.py --ignore=tests/dicom/model/test_model_limits.py
PURE_FLOOR := 89
coverage-pure: .venv/ready-to-test
	$(call measured,-m 'not long' $(PURE_TESTS))
	@$(BIN)/python -m coverage report --include='$(PURE)' --fail-under=$(PURE_FLOOR)

define measured
@rm -rf .data/coverage && mkdir -p .data/coverage
$(BIN)/python -m coverage run -m pytest -n 2 --dist loadscope $(1)
@$(BIN)/python -m coverage combine -q
endef

test-long: .venv/ready-to-test
	$(BIN)/python -m pytest -m 'long and not ceph and not fuzz' --timeout 1500 $(PYTEST_MORE)

# schemathesis for half an hour, from the description that is served.
fuzz: .venv/ready-to-test
	$(BIN)/python -m pytest -m fuzz -s

# Changes one operator at N places drawn at random, each in a copy, and prints what no test noticed (tests/README.md).
N ?= 20
SEED ?= $(shell date +%s)
mutants: .venv/ready-to-test
	$(BIN)/python -m tests.mutants -n $(N) --seed $(SEED)

# Writes the description of everything served: tests compare it with what is.
openapi: .venv/ready-to-test
	$(BIN)/python -m gateway.http > openapi/openapi.json.new
	mv openapi/openapi.json.new openapi/openapi.json

# Writes gateway/conformance/rows.json, from which `dicomweb-gateway conformance` speaks: what passed is claimed.
conformance: .venv/ready-to-test
	$(BIN)/python -m pytest -n 2 --dist loadscope --rows=write -m 'not long and not ceph and not fuzz'

# The store's contract against Ceph's object gateway, from Debian's packages.
test-ceph: .venv/ready-to-test
	GATEWAY_TEST_REQUIRE=ceph $(BIN)/python -m pytest -m ceph tests/store

bench: .venv/ready-to-test
	$(BIN)/python -m tests.bench.run

# What the plain installation weighs and what each extra adds, in fresh folders (a few minutes, from the index).
sizes: .venv/ready
	$(BIN)/python deploy/sizes.py

clean:
	rm -rf .venv .data build dist *.egg-info
