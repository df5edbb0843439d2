# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Build build/ and install the package `buddy` into .venv, editable.

One CMake build directory serves pip, ninja and ctest. Python files take effect as they are
edited; C++ needs `make build`, which compiles what changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    definitions = json.loads((ROOT / "build" / "toolchain.json").read_text())["cmake"]
    settings = ["build-dir=build", "build.verbose=false"]
    settings += [f"cmake.define.{name}={value}" for name, value in definitions.items()]
    arguments = [part for setting in settings for part in ("--config-settings", setting)]
    # -v shows CMake's and ninja's progress, which pip otherwise hides for minutes.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-v"]
    command += ["--no-build-isolation", *arguments, "--editable", "."]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    print("[build] native tools and the package `buddy` (first time: minutes)", flush=True)
    status = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode
    if status:
        print("[build] failed: the first error is above. `make clean` starts over.", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
