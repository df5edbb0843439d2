# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Building the examples' executables the way their READMEs say."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / "build" / "CMakeCache.txt"


def step(*command, cwd: Path | None = None) -> str:
    """Run a command that must succeed; its standard output."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build_example(example: Path, build: Path, target: str) -> Path:
    """Configure and build the project `example` in `build`; its executable `target`."""
    cmake = shutil.which("cmake") or Path(sys.executable).with_name("cmake")
    if not Path(cmake).exists():
        pytest.skip("no cmake")
    if "PNG REQUIRED" in (example / "CMakeLists.txt").read_text() and not _has_png():
        pytest.skip("no libpng: install libpng-dev")
    step(cmake, "-S", example, "-B", build, *_cached_paths())
    step(cmake, "--build", build)
    return build / target


def _has_png() -> bool:
    places = [Path("/usr/include"), Path("/usr/local/include"), Path(sys.prefix) / "include"]
    return any((place / "png.h").exists() for place in places)


def _cached_paths() -> list[str]:
    """Where the checkout's own build found its libraries, if it was not in the usual places."""
    if not CACHE.exists():
        return []
    wanted = ("BUDDY_OPENMP_LIBRARY:", "CMAKE_PREFIX_PATH:", "CMAKE_CXX_COMPILER:")
    return [f"-D{line}" for line in CACHE.read_text().splitlines() if line.startswith(wanted)]
