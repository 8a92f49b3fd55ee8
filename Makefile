# `make run` and `make test` set everything up first; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PREFIX ?= /opt/edge
DESTDIR ?=
TEST_JOBS ?= 4
TRAIN_JOBS ?= 2

.PHONY: help run test check test-train lint bench fault attack soak install uninstall deb release \
  test-systemd \
  test-picamera2 test-arm64 bench-arm64 test-arm64-system lock schemas docs clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

run: $(VENV)/ready ## Run on the Pi's camera; without one, on real footage
	@scripts/run-demo $(BIN)/edge

test: $(VENV)/ready ## Run everything that can be tested here
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_OPTIONS)

check: $(VENV)/ready ## Run the tests that start no daemon and play no footage, in under 30 s
	$(BIN)/python -m pytest -q -m fast -n $(TEST_JOBS) --dist loadfile

# Keeps bytecode, with which each process imports TensorFlow in 3 s of CPU time instead of 9.
test-train: $(VENV)-train/ready ## Train, export and run small networks
	@$(VENV)-train/bin/python -c 'import sys, importlib.util as i; sys.exit(not i.find_spec("tensorflow"))' || \
	  { echo "TensorFlow is missing: training needs an x86-64 PC with Linux"; exit 1; }
	PYTHONDONTWRITEBYTECODE= TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
	  $(VENV)-train/bin/python -m pytest tests/mobiledet -n $(TRAIN_JOBS) --dist loadfile \
	  --no-loadscope-reorder $(PYTEST_OPTIONS)

lint: $(VENV)/ready ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready ## Measure CPU per frame by stage, and relative to plain frame differencing
	$(BIN)/edge bench idle
	$(BIN)/edge bench stages

fault: $(VENV)/ready ## Inject each fault of the matrix 20 times into a real daemon (root: also full disks)
	$(BIN)/python -m tests.faults.matrix
	EDGE_FUZZ_EXAMPLES=100000 $(BIN)/python -m pytest -q tests/bus/test_control.py -k no_command

attack: $(VENV)/ready ## Attack readers and a real daemon with bad files, messages, floods, clocks and limits
	$(BIN)/python -m tests.attack

soak: $(VENV)/ready ## Analyse 2,000,000 drawn frames; check memory, open files and counters
	$(BIN)/python -m tests.faults.soak

install: ## Install service, user and command `edge` (on a Pi, as root)
	$(PYTHON) -m venv --system-site-packages $(PREFIX)
	$(PREFIX)/bin/pip install --quiet --require-hashes -r requirements.run.lock
	$(PREFIX)/bin/pip install --quiet --no-deps .
	scripts/install "$(DESTDIR)" $(PREFIX)
	if [ -d /run/systemd/system ]; then systemd-sysusers edge.conf && \
	  systemd-tmpfiles --create edge.conf && systemctl daemon-reload; fi
	ls "$(DESTDIR)"/etc/edge/*.toml >/dev/null 2>&1 || $(PREFIX)/bin/edge camera add cam0 --root "$(DESTDIR)/"
	@echo "edit /etc/edge/cam0.toml, then: systemctl enable --now edge@cam0"

uninstall: ## Remove everything but configuration and captures (as root)
	if [ -d /run/systemd/system ]; then systemctl stop 'edge-*@*' 'edge@*'; fi
	rm -rf $(PREFIX) /usr/lib/systemd/system/edge@.service.d
	cd systemd && for unit in *.service *.timer; do rm -f "/usr/lib/systemd/system/$$unit"; done
	rm -f /usr/bin/edge /usr/lib/sysusers.d/edge.conf /usr/lib/tmpfiles.d/edge.conf
	rm -rf /usr/share/doc/edge-trigger /var/cache/edge-upload
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "kept: /etc/edge and /var/lib/edge"

deb: $(VENV)/ready ## Build a Debian package for this release in dist/
	scripts/build-deb $(BIN)

release: $(VENV)/ready ## Build packages, wheel and signed apt repository of the tagged version (root)
	scripts/release $(BIN)

test-systemd: deb ## Test the package under a real systemd: install, watchdog, reload, upgrade, purge (root)
	scripts/test-systemd dist/edge-trigger_*.deb $(BIN)

test-picamera2: ## Test the camera source on the real picamera2 and libcamera (root)
	scripts/pi/test-picamera2

test-arm64: $(VENV)/ready ## Run the tests on emulated aarch64 with Python 3.11 and 3.13 (root)
	scripts/pi/test-arm64 $(BIN)

bench-arm64: ## Count the cost on aarch64 in instructions (root)
	scripts/pi/bench-arm64

test-arm64-system: $(VENV)/ready ## Test the package in an emulated arm64 machine: service, watchdog, power cut (root)
	scripts/pi/test-arm64-system $(BIN)

lock: $(VENV)/ready ## Resolve the dependencies again for all supported Pythons and machines
	scripts/lock $(BIN)

schemas: $(VENV)/ready ## Write derived files: schemas, default configuration, key reference, drawing of the rooms
	$(BIN)/python -m scripts.generate

docs: $(VENV)/ready ## Write the documentation as a site to dist/site, and fail at a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "dist/site/index.html"

clean: ## Remove environments and caches
	rm -rf $(VENV) $(VENV)-train $(VENV)-second .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

$(VENV)/ready: requirements.lock pyproject.toml models/mobiledet/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "edge needs Python 3.11 to 3.13; choose one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv is missing: sudo apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps \
	  --editable . --editable models/mobiledet
	@touch $@

$(VENV)-train/ready: models/mobiledet/requirements.lock pyproject.toml models/mobiledet/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "training needs Python 3.11 to 3.13; choose one with: make test-train PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)-train
	$(VENV)-train/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r models/mobiledet/requirements.lock
	$(VENV)-train/bin/pip install --quiet --disable-pip-version-check --no-deps \
	  --editable . --editable models/mobiledet
	@touch $@
