# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The disk cache of compiled modules: safe with several processes, never in the way.

An entry is written elsewhere, then renamed into place while its lock file is held, so a killed
compile leaves no entry. A directory that cannot be written is not an error: a module then lives in
a temporary directory for as long as it takes to load it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import knobs

Build = Callable[[Path], Path]  # makes a file in the directory it is given


def path_of(name: str) -> Path:
    """Where the cached file `name` is, if it is there."""
    return knobs.cache_dir() / name[:2] / name


@contextmanager
def temporary_build(build: Build) -> Iterator[Path]:
    """What `build` makes, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="buddy-") as work:
        yield build(Path(work))


@contextmanager
def get_or_build(name: str, build: Build) -> Iterator[tuple[Path, bool]]:
    """The cached file `name` and True, or what `build` makes of it and False.

    Outside of the block the file is there only if it could be stored.
    """
    entry = path_of(name)
    if entry.exists():
        yield entry, True
        return
    with ExitStack() as temporary:
        with _lock(entry):
            found = entry.exists()  # another process was faster
            if not found:
                built = temporary.enter_context(temporary_build(build))
            kept = found or _store(built, entry)
        yield (entry if kept else built), found


def put(name: str, build: Build) -> None:
    """Store what `build` makes as `name`, also in the place of what is there, if that is possible.

    Nobody is told where it is not: this is for what only saves the time to make it.
    """
    entry = path_of(name)
    with _lock(entry, quiet=True), temporary_build(build) as built:
        _store(built, entry, quiet=True)


def failure_directory(name: str) -> Path:
    """An empty directory for the report of a failed build; the next failure of `name` empties it."""
    directory = knobs.cache_dir() / "failures" / name
    try:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="buddy-failure-"))
    return directory


@contextmanager
def _lock(entry: Path, quiet: bool = False) -> Iterator[None]:
    """Hold the entry's lock file; without one where the directory cannot be written."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle = open(entry.with_suffix(".lock"), "w")
    except OSError as error:
        if not quiet:
            _warn_once(str(entry.parent.parent), str(error))
        yield
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel when the process dies
        try:
            yield
        finally:  # closing is not enough: a forked process may have the file open
            fcntl.flock(handle, fcntl.LOCK_UN)


def _store(built: Path, entry: Path, quiet: bool = False) -> bool:
    """Copy `built` to `entry` in one step; False where it cannot be written."""
    partial = entry.with_suffix(f".{os.getpid()}.tmp")
    try:
        shutil.copyfile(built, partial)
        os.replace(partial, entry)
    except OSError as error:
        if not quiet:
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
