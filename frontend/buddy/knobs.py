# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every environment variable that Buddy reads, in one place."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """BUDDY_CACHE_DIR: where compiled modules are kept (default ~/.cache/buddy)."""
    value = os.environ.get("BUDDY_CACHE_DIR")
    if value:
        return Path(value)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "buddy"


def dump_dir() -> Path | None:
    """BUDDY_DUMP: directory that receives every stage of each compile as a numbered file."""
    value = os.environ.get("BUDDY_DUMP")
    return Path(value) if value else None


def tools_dir() -> Path | None:
    """BUDDY_TOOLS_DIR: where buddy-compile and its siblings are, before the usual places."""
    value = os.environ.get("BUDDY_TOOLS_DIR")
    return Path(value) if value else None


def compile_seconds() -> float | None:
    """BUDDY_COMPILE_SECONDS: the most that one compile may take (default 1800); 0: any time."""
    return float(os.environ.get("BUDDY_COMPILE_SECONDS") or "1800") or None


def num_threads() -> int:
    """BUDDY_NUM_THREADS: threads of compiled kernels; 0 (default): torch's, or OpenMP's."""
    return int(os.environ.get("BUDDY_NUM_THREADS", "0"))


def profile() -> bool:
    """BUDDY_PROFILE=1: time every kernel; a table at the end of the process, and files."""
    return os.environ.get("BUDDY_PROFILE", "0") not in ("", "0")


def profile_dir() -> Path:
    """BUDDY_PROFILE_DIR: where the files of a profile go (default buddy-profile)."""
    return Path(os.environ.get("BUDDY_PROFILE_DIR") or "buddy-profile")


def for_profile(directory: Path, threads: int) -> dict[str, str]:
    """The environment of a child process that profiles itself into `directory`."""
    asked = {"BUDDY_PROFILE": "1", "BUDDY_PROFILE_DIR": str(directory)}
    if threads:
        asked["BUDDY_NUM_THREADS"] = str(threads)
    return os.environ | asked


def debug() -> bool:
    """BUDDY_DEBUG=1: the command `buddy` shows the traceback of its errors."""
    return os.environ.get("BUDDY_DEBUG", "0") not in ("", "0")
