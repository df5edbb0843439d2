# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/llama, step by step as its README says, with the tiny model."""

import sys
from pathlib import Path

import pytest
from native_builds import build_example, step
from packages import buddy_llama

EXAMPLE = Path(__file__).parents[2] / "examples" / "llama"
CONTEXT = "64"


@pytest.mark.slow
def test_each_step_of_the_readme(tiny_model, tmp_path):
    from buddy.driver import find_tool

    package = tmp_path / "package"
    package.mkdir()
    step(
        sys.executable,
        "import_model.py",
        tiny_model,
        tmp_path / "llama.mlirbc",
        CONTEXT,
        cwd=EXAMPLE,
    )
    step(find_tool("buddy-compile"), tmp_path / "llama.mlirbc", "-o", package / "model.so")
    step(sys.executable, "pack.py", tiny_model, package, CONTEXT, cwd=EXAMPLE)
    expected = buddy_llama(package, "-p", "Hello", "--max-tokens", "256").stdout
    executable = build_example(EXAMPLE, tmp_path / "build", "llama")
    assert step(executable, package, "Hello") == expected
