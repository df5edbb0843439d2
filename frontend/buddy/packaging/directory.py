# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The directory of a package: what may be replaced, and how it comes to be all at once.

    manifest.json  model.so  weights.safetensors  and what its kind of model needs

A package is built in a sibling directory and renamed when it is complete, so a compile that is
killed leaves nothing that looks like a package.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from buddy import driver
from buddy.errors import BuddyError, OptionError

MANIFEST_VERSION = 1
MANIFEST, LIBRARY, WEIGHTS = "manifest.json", "model.so", "weights.safetensors"
TARGETS = ("cpu",)


@dataclass
class Report:
    """What a compile took: seconds by stage, in order; ``kernels``: unique kernels."""

    directory: Path
    seconds: dict[str, float] = field(default_factory=dict)
    kernels: int = 0
    weights_bytes: int = 0
    on_stage: Callable[[str], None] = lambda stage: None

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.on_stage(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise OptionError unless the option has one of the values it may have."""
    if value not in known:
        raise OptionError(f"{name} {value!r} does not exist; it may be {' or '.join(known)}")


def check_destination(out_dir: Path) -> None:
    """Refuse to replace a directory that is not a package."""
    if out_dir.is_dir():
        if any(out_dir.iterdir()) and not (out_dir / MANIFEST).exists():
            raise OptionError(f"{out_dir} exists and is not a package; choose another directory")
    elif out_dir.exists():
        raise OptionError(f"{out_dir} exists and is not a directory; choose another path")


@contextlib.contextmanager
def temporary_sibling(out_dir: Path) -> Iterator[Path]:
    """A directory beside ``out_dir`` that takes its place at the end, or vanishes."""
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    except OSError as error:
        raise BuddyError(f"{out_dir}: cannot be created: {error.strerror}") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if out_dir.exists():
            shutil.rmtree(out_dir)
        temporary.rename(out_dir)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise BuddyError(
                f"{out_dir.parent}: the disk is full; nothing was left behind"
            ) from error
        raise BuddyError(f"{error.filename or out_dir}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def compile_library(
    bytecode: bytes,
    directory: Path,
    *,
    target: str,
    features: str,
    dump_dir: str | Path | None,
    profile: bool,
) -> None:
    """Compile a graph module to the package's library; raises CompilerError."""
    dump = Path(dump_dir) if dump_dir else None
    with driver.compiled_module(
        bytecode, target=target, features=features, dump_dir=dump, profile=profile
    ) as library:
        shutil.copyfile(library, directory / LIBRARY)


def write_manifest(directory: Path, manifest: dict, library: dict, report: Report) -> None:
    """Write manifest.json: ``manifest`` and what all packages say; ``library`` is the module's."""
    common = {
        "target": library["target"],
        "features": library["features"],
        "kernels": library.get("kernels"),
        "entries": library["entries"],
        "weights": WEIGHTS,
        "library": LIBRARY,
        "compile_seconds": round(sum(report.seconds.values()), 3),
    }
    content = {"version": MANIFEST_VERSION, **manifest, **common}
    (directory / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")
