# Atelier's commands. `make` alone lists them; each sets up what it needs in .venv first, no activation needed.
#
#   make demo          the whole path on real data          make setup         .venv, for all commands
#   make test          the tests, with coverage
#   make test ARGS="tests/serving -k batch"                 make bench ARGS="--smoke"
#   PYTHON=/opt/py/bin/python3 make …                       another Python than the first suitable one

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
UV = $(shell command -v uv || echo $(VENV)/bin/uv)
PYTHON ?=
ARGS ?=

# The workplace's data sets, where they lie beside the checkout (docs: "Data").
ifndef ATELIER_DATA
ifneq ($(wildcard ../shared/data/README.md),)
export ATELIER_DATA := $(CURDIR)/../shared/data
endif
endif

# Trust what the machine trusts, as pip does: behind a company's proxy its certificate is in the system's store.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif

# What is started many times is compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo setup test e2e lint format protos schema train-all soak fuzz hostile bench bench-growth bench-overload bench-codec bench-training kserve k8s-check k8s-e2e lock lock-peers clean

help: ## list the commands
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/.demo ## train, export, serve and ask a real classifier
	@$(VENV)/bin/atelier demo $(ARGS)

setup: $(VENV)/.dev ## install all that `atelier` and the tests need, into .venv

# Two processes, each a file of tests at a time: most tests wait for a gateway, not for a core. One: make test ARGS="-n 0 …"
test: $(VENV)/.dev ## run all tests, with coverage
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report=term $(ARGS)

e2e: $(VENV)/.dev ## run the tests that drive real processes
	$(PY) -m pytest tests/e2e $(ARGS)

lint: $(VENV)/.dev ## check format, lint rules, import contracts and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

format: $(VENV)/.dev ## format, and repair what ruff can repair
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

protos: $(VENV)/.dev ## regenerate the protobuf modules of serving/wire and export
	for package in serving/wire export; do \
	  $(PY) -m grpc_tools.protoc -I $$package/protos --python_out=$$package --pyi_out=$$package $$package/protos/*.proto; \
	done

schema: $(VENV)/.dev ## write docs/manifest.schema.json anew
	$(PY) -m export.schema

train-all: $(VENV)/.dev ## train every recipe, and write docs/models.md (hours; goes on where it was interrupted)
	$(PY) -m training.catalogue $(ARGS)

kserve: $(VENV)/.kserve ## install KServe's and Kubeflow's clients beside, for the tests that use them

k8s-check: $(VENV)/.dev $(VENV)/.kserve ## render every Kubernetes overlay with kubectl, and check every object
	$(PY) -m pytest tests/k8s $(ARGS)

k8s-e2e: $(VENV)/.dev ## deploy, ask, publish, roll, break and scale on the cluster that kubectl reaches
	$(PY) -m pytest -m cluster -x tests/k8s/test_e2e.py $(ARGS)

soak: $(VENV)/.dev ## minutes of load while versions are swapped, and memory over 50 reloads
	$(PY) -m pytest -m soak $(ARGS)

FUZZ_SECONDS ?= 300
fuzz: $(VENV)/.dev ## 10 minutes of made-up requests for each protocol: no crash, no hang, no internal error
	$(PY) -m pytest -m fuzz $(ARGS)
	for protocol in grpc rest; do \
	  $(PY) -m tests.fuzz.coverage_guided $$protocol --seconds $(FUZZ_SECONDS); \
	  $(PY) -m tests.fuzz.structures $$protocol --seconds $(FUZZ_SECONDS); \
	done

hostile: $(VENV)/.dev ## attack a gateway for some minutes, and print what a steady client noticed
	$(PY) -m tests.support.hostile.table $(ARGS)

bench: $(VENV)/.dev ## measure the gateway beside reference servers and, by ARGS="--peers all", others (needs h2load: nghttp2-client)
	$(PY) -m benchmarks.run $(ARGS)

bench-growth: $(VENV)/.dev ## the gateway's curves over connections, models, workers, image size and batch size (needs h2load)
	$(PY) -m benchmarks.growth $(ARGS)

bench-overload: $(VENV)/.dev ## ask a gateway for up to three times what it can do, and draw what it answers (needs h2load)
	$(PY) -m benchmarks.overload $(ARGS)

bench-codec: $(VENV)/.dev ## measure decoding and encoding of a Predict request beside TensorFlow's own messages
	$(PY) -m benchmarks.codec

bench-training: $(VENV)/.dev ## measure the trainer beside the course's own script
	$(PY) -m benchmarks.training $(ARGS)

# --- locked requirements -------------------------------------------------------------------------------------------
# dev.txt holds everything; the others are compiled inside its constraints, so one version serves all.
# `make lock` keeps the versions it finds; `make lock ARGS=--upgrade` renews them.

LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --custom-compile-command "make lock"

lock: $(VENV)/.uv ## write requirements/*.txt, hashed
	$(LOCK) pyproject.toml --all-extras --group build --output-file requirements/dev.txt $(ARGS)
	for extra in training export serving tensorflow client s3 gs loadtest docs; do \
	  $(LOCK) pyproject.toml --extra $$extra --group build --constraint requirements/dev.txt --output-file requirements/$$extra.txt $(ARGS); \
	done
	echo uv | $(LOCK) - --output-file requirements/uv.txt $(ARGS)
	printf '%s\n' kserve kubeflow-training | $(LOCK) - --output-file requirements/kserve.txt $(ARGS)

# Peers of `make bench`, each in an environment of its own, with the gateway's ONNX Runtime.
lock-peers: $(VENV)/.uv ## write benchmarks/peers/requirements/*.txt, hashed
	for peer in benchmarks/peers/requirements/*.in; do \
	  $(subst make lock,make lock-peers,$(LOCK)) $$peer --constraint <(grep -o '^onnxruntime==[0-9.]*' requirements/dev.txt) --output-file $${peer%in}txt $(ARGS); \
	done

# --- set-up, one stamp per step --------------------------------------------------------------------------------------

$(VENV)/.uv: requirements/uv.txt
	@test -x $(PY) || { \
	  for python in $(PYTHON) python3 python3.11 python3.12 python3.13; do \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && break || python=; \
	  done; \
	  test -n "$$python" || { echo "Atelier needs Python 3.11, 3.12 or 3.13 on the PATH." >&2; exit 1; }; \
	  echo "Making $(VENV) with $$("$$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"; \
	  "$$python" -m venv --without-pip $(VENV); }
	@command -v uv >/dev/null || { \
	  python=$$($(PY) -c 'import sys; print(sys._base_executable)'); \
	  "$$python" -m pip --version >/dev/null || { echo "Atelier's set-up needs pip or uv; on Debian: apt-get install python3-pip" >&2; exit 1; }; \
	  "$$python" -m pip --python $(PY) install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt; }
	@touch $@

$(VENV)/.demo: $(VENV)/.uv requirements/training.txt requirements/export.txt requirements/serving.txt pyproject.toml
	$(UV) pip install --python $(PY) --require-hashes -r requirements/training.txt -r requirements/export.txt -r requirements/serving.txt
	$(UV) pip install --python $(PY) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.uv requirements/dev.txt pyproject.toml
	$(UV) pip install --python $(PY) --require-hashes -r requirements/dev.txt
	$(UV) pip install --python $(PY) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# KServe wants an older protobuf than the gateway, so it has an environment of its own; Kubeflow's models lie there too.
$(VENV)/.kserve: $(VENV)/.uv requirements/kserve.txt
	$(UV) venv --quiet --allow-existing --python $(PY) $(VENV)/kserve
	$(UV) pip install --python $(VENV)/kserve/bin/python --require-hashes -r requirements/kserve.txt
	@touch $@

clean: ## remove the environment, caches and outputs
	rm -rf $(VENV) build *.egg-info .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache bench-output demo-output site
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
