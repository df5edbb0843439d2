# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles: which kernel takes how long, and how far it is from what the machine could do.

The runtime records and writes; here is who starts it: BUDDY_PROFILE=1 for the rest of the
process, or the command `buddy profile`, in this process for a package, in a child for a script.
"""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import knobs
from .errors import BuddyError, OptionError

# What is run when no prompt is given: any tokens do, since speed does not depend on which.
PROMPT_TOKENS = 128
FIRST_ID, STEP = 17, 7


def start(directory: Path) -> None:
    """Profile what is loaded from now on into `directory`, which must be writable."""
    from . import _runtime

    try:
        _runtime.start_profile(str(directory))
    except _runtime.ArgumentError as error:
        raise OptionError(str(error)) from error


@functools.cache
def start_for_process() -> None:
    """Profile until the process ends, and print the table then."""
    start(knobs.profile_dir())
    atexit.register(_report)


def finish() -> Any:
    """Write the files; raises BuddyError when there is nothing to write."""
    from . import _runtime

    try:
        return _runtime.finish_profile()
    except _runtime.Error as error:
        raise BuddyError(str(error)) from error


def _report() -> None:
    try:
        result = finish()
    except BuddyError as error:
        sys.stderr.write(f"buddy: {error}\n")
    else:
        sys.stderr.write(f"\n{describe(result)}\n")


def describe(result: Any) -> str:
    """The table, and where the rest is."""
    return f"{result.table}\n{result.page}\n{result.trace} (open it at ui.perfetto.dev)"


def profile_package(
    package: Path, directory: Path, prompt: str | None, max_tokens: int, threads: int
) -> Any:
    """Run a package once to warm up, and once to measure."""
    from . import _runtime
    from .llm.chat import ChatModule

    start(directory)
    module = ChatModule(package, threads)
    synthetic = [(FIRST_ID + STEP * i) % module.vocab_size for i in range(PROMPT_TOKENS)]
    question = synthetic if prompt is None else prompt
    module.benchmark_generate(question, 2)
    _runtime.clear_profile()
    module.benchmark_generate(question, max_tokens)
    return finish()


def profile_script(
    script: Path, arguments: Sequence[str], directory: Path, threads: int, *, quiet: bool
) -> None:
    """Run a script with BUDDY_PROFILE=1; its own process prints the table.

    `quiet` keeps standard output free for the caller's JSON.
    """
    if not script.is_file():
        raise BuddyError(f"{script}: no such file; give a package's directory or a Python script")
    start(directory)  # only to refuse a directory that cannot be written before the script runs
    kernels = directory / "kernels.json"
    kernels.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=knobs.for_profile(directory, threads),
        stdout=sys.stderr if quiet else None,
        check=False,
    )
    if done.returncode:
        raise BuddyError(f"{script} ended with status {done.returncode}")
    if not kernels.exists():
        raise BuddyError(
            f"{script} ran no kernel of Buddy: does it call torch.compile(..., backend='buddy')?"
        )


def read_kernels(directory: Path) -> dict:
    """The table as data."""
    return json.loads((directory / "kernels.json").read_text())
