# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""What `buddy doctor` looks at: each check finds something out and says what to do about it."""

from __future__ import annotations

import ctypes.util
import importlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

FREE_DISK_WANTED = 4 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``advice`` says what to do and is empty where nothing is wrong."""

    name: str
    ok: bool
    detail: str
    advice: str = ""

    def as_dict(self) -> dict:
        return asdict(self)

    def line(self) -> str:
        text = f"{'ok   ' if self.ok else 'WRONG'} {self.name}: {self.detail}"
        return text if self.ok else f"{text}\n      {self.advice}"


def examine() -> list[Finding]:
    """All findings; a check that raises becomes a finding that says so."""
    findings = []
    for check in (_python, _packages, _tools, _runtime, _openmp, _cache, _disk):
        findings += _guarded(check)
    return findings


def _guarded(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # a broken installation may fail in any way
        advice = "reinstall with `pip install .`"
        return [
            Finding(check.__name__.strip("_"), False, f"{type(error).__name__}: {error}", advice)
        ]


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("python", sys.version_info >= (3, 10), version, "use Python 3.10 or newer")


def _packages() -> Iterator[Finding]:
    for name in ("torch", "transformers", "tokenizers", "safetensors", "mlir"):
        try:
            module = importlib.import_module(name)
            yield Finding(name, True, str(getattr(module, "__version__", "found")))
        except ImportError as error:
            yield Finding(name, False, str(error), "run `pip install .` in the checkout again")


def _tools() -> Iterator[Finding]:
    from buddy import driver
    from buddy.errors import BuddyError

    for name in ("buddy-compile", "buddy-opt", "buddy-translate", "buddy-llama"):
        advice = "build it (`make build`), or set BUDDY_TOOLS_DIR to the directory that has it"
        try:
            path = driver.find_tool(name)
            version = subprocess.run(
                [str(path), "--version"], capture_output=True, text=True, timeout=60
            )
        except (BuddyError, OSError, subprocess.TimeoutExpired) as error:
            yield Finding(name, False, str(error), advice)
            continue
        words = (version.stdout or version.stderr).split("\n")
        line = next((word.strip() for word in words if "version" in word.lower()), "")
        yield Finding(name, version.returncode == 0, f"{path} {line}".strip(), advice)


def _runtime() -> Iterator[Finding]:
    from buddy import _runtime

    features = _runtime.cpu_features()
    vector = [
        name for name in features if name.strip("+").startswith(("avx", "amx", "neon", "sve"))
    ]
    detail = " ".join(vector) or "no vector extensions that Buddy knows"
    yield Finding("runtime", True, f"{platform.machine()}, {len(features)} CPU features: {detail}")


def _openmp() -> Iterator[Finding]:
    for name in ("libomp.so.5", "libiomp5.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        yield Finding("openmp", True, name)
        return
    found = ctypes.util.find_library("omp")
    advice = "install LLVM's OpenMP (Debian: libomp5-22) or `pip install intel-openmp`"
    yield Finding("openmp", found is not None, found or "libomp.so.5 was not found", advice)


def _cache() -> Iterator[Finding]:
    from buddy import knobs

    path = knobs.cache_dir()
    advice = "set BUDDY_CACHE_DIR to a directory you may write to"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        yield Finding("cache", True, str(path))
    except OSError as error:
        yield Finding("cache", False, f"{path}: {error.strerror}", advice)


def _disk() -> Iterator[Finding]:
    from buddy import knobs

    path = knobs.cache_dir()
    while not path.exists():
        path = path.parent
    for place in {path, Path.cwd()}:
        free = shutil.disk_usage(place).free
        advice = "free some space: packages are as large as their weights"
        yield Finding(
            "disk", free >= FREE_DISK_WANTED, f"{place}: {free / 1e9:.0f} GB free", advice
        )
