# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The disk cache of compiled modules: safe with several processes, never in the way.

An entry is written elsewhere, then renamed into place while its lock file is held, so a killed
compile leaves no entry. A directory that cannot be written is not an error: results then live in
a temporary directory for the rest of the process.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import knobs


@functools.cache
def temporary_root() -> Path:
    """A directory that goes away with the process."""
    root = Path(tempfile.mkdtemp(prefix="buddy-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def temporary_directory() -> Path:
    """A fresh directory under `temporary_root`."""
    return Path(tempfile.mkdtemp(dir=temporary_root()))


def get_or_build(name: str, build: Callable[[Path], Path]) -> tuple[Path, bool]:
    """The cached file `name` and True, or what `build` makes of it and False.

    `build` gets a directory to work in and returns the file it made there.
    """
    entry = knobs.cache_dir() / name[:2] / name
    if entry.exists():
        return entry, True
    with _lock(entry):
        if entry.exists():  # another process was faster
            return entry, True
        work = temporary_directory()
        built = build(work)
        stored = _store(built, entry)
        if stored:
            shutil.rmtree(work, ignore_errors=True)
        return (entry if stored else built), False


@contextmanager
def _lock(entry: Path) -> Iterator[None]:
    """Hold the entry's lock file; without one where the directory cannot be written."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle = open(entry.with_suffix(".lock"), "w")
    except OSError as error:
        _warn_once(str(entry.parent.parent), str(error))
        yield
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel when the process dies
        yield


def _store(built: Path, entry: Path) -> bool:
    """Copy `built` to `entry` in one step; False where it cannot be written."""
    partial = entry.with_suffix(f".{os.getpid()}.tmp")
    try:
        shutil.copyfile(built, partial)
        os.replace(partial, entry)
    except OSError as error:
        _warn_once(str(entry.parent.parent), str(error))
        _discard(partial)
        return False
    for stale in entry.parent.glob(f"{entry.stem}.*.tmp"):
        _discard(stale)  # of compiles that were killed: we hold the lock
    return True


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # in a read-only directory there is nothing to discard


_warned: set[str] = set()


def _warn_once(directory: str, reason: str) -> None:
    if directory in _warned:
        return
    _warned.add(directory)
    warnings.warn(
        f"the cache directory {directory} cannot be written ({reason}): compiled modules are "
        "kept in a temporary directory; set BUDDY_CACHE_DIR to a writable one",
        RuntimeWarning,
        stacklevel=2,
    )
