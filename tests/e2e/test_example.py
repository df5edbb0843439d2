# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/llama, step by step as its README says, with the tiny model."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packages import buddy_llama

EXAMPLE = Path(__file__).parents[2] / "examples" / "llama"
CONTEXT = "64"


def step(*command, cwd=EXAMPLE) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_each_step_of_the_readme(tiny_model, tmp_path):
    from buddy.driver import find_tool

    package = tmp_path / "package"
    package.mkdir()
    step(sys.executable, "import_model.py", tiny_model, tmp_path / "llama.mlirbc", CONTEXT)
    step(find_tool("buddy-compile"), tmp_path / "llama.mlirbc", "-o", package / "model.so")
    step(sys.executable, "pack.py", tiny_model, package, CONTEXT)
    expected = buddy_llama(package, "-p", "Hello", "--max-tokens", "256").stdout
    cmake = shutil.which("cmake") or Path(sys.executable).with_name("cmake")
    if not Path(cmake).exists():
        pytest.skip("no cmake")
    step(cmake, "-S", ".", "-B", tmp_path / "build", *_cached_paths())
    step(cmake, "--build", tmp_path / "build")
    assert step(tmp_path / "build" / "llama", package, "Hello") == expected


def _cached_paths() -> list[str]:
    """Where the checkout's own build found its libraries, if it was not in the usual places."""
    cache = EXAMPLE.parents[1] / "build" / "CMakeCache.txt"
    if not cache.exists():
        return []
    wanted = ("BUDDY_OPENMP_LIBRARY:", "CMAKE_PREFIX_PATH:", "CMAKE_CXX_COMPILER:")
    return [f"-D{line}" for line in cache.read_text().splitlines() if line.startswith(wanted)]
