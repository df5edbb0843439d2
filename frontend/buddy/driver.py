# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running `buddy-compile`: bytecode of a graph module in, a shared library in the cache out."""

from __future__ import annotations

import hashlib
import logging
import os.path
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import cache as disk_cache
from . import counters, knobs
from .errors import CompilerError

log = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parents[2]


def tool_directories() -> list[Path]:
    """Where native tools may be: BUDDY_TOOLS_DIR, the installed package, a checkout's build."""
    installed = Path(__file__).resolve().parent / "bin"
    candidates = [knobs.tools_dir(), installed, CHECKOUT / "build" / "bin"]
    return [d for d in candidates if d is not None]


def library_directories() -> list[Path]:
    """Where the `_runtime` extension may be beside the package itself."""
    return [d for d in (t.parent / "lib" for t in tool_directories()) if d.is_dir()]


def find_tool(name: str) -> Path:
    """The native tool `name`; raises CompilerError saying where it was looked for."""
    directories = tool_directories()
    for directory in directories:
        if (directory / name).is_file():
            return directory / name
    places = ", ".join(map(str, directories))
    raise CompilerError(f"{name} was not found in {places}: build it with `make`, or install")


@contextmanager
def compiled_module(
    bytecode: bytes,
    *,
    target: str = "cpu",
    features: str = "host",
    dump_dir: Path | str | None = None,
    cache: bool = True,
    profile: bool = False,
    weights_stay: bool = False,
    schedules: Sequence[str] = (),
) -> Iterator[Path]:
    """The shared library of a graph module (MLIR bytecode), from the disk cache if it is there.

    Load or copy it in the block: after it the file may be gone.

    `features` is "host" or a CPU's name, with changes ("host,-avx512f"), or a list "+avx2,+fma,…";
    with `dump_dir` every stage is written there
    and the cache is not read; with `profile` the code can be profiled; `weights_stay`: the caller
    keeps the weights beside what `prepare` makes of them; `schedules`: how kernels are tiled, where
    not as the machine model says. Raises CompilerError naming the reproducer and the command.
    """
    dump = Path(dump_dir) if dump_dir else knobs.dump_dir()
    tool = find_tool("buddy-compile")
    options = [f"--target={target}", f"--features={_usable(features)}"]
    if profile:
        options.append("--profile")
    if weights_stay:
        options.append("--weights-stay")
    if schedules:
        options.append(f"--schedules={','.join(schedules)}")
    key = _key(bytecode, tool, options)

    def build(directory: Path) -> Path:
        counters.count("cache_misses")
        with counters.stage("compile"):
            return _run(tool, options, bytecode, directory, _dump_directory(dump, key), key)

    if dump or not cache:
        with disk_cache.temporary_build(build) as library:
            yield library
        return
    with disk_cache.get_or_build(f"{key}.so", build) as (library, found):
        if found:
            counters.count("cache_hits")
        yield library


def tuning_key(bytecode: bytes, target: str, threads: int) -> str:
    """Everything that the fastest schedules of a module depend on."""
    return _key(bytecode, find_tool("buddy-compile"), [target, f"threads={threads}", "schedules"])


def graph_key(description: bytes, target: str) -> str:
    """The description of a graph, and everything else that decides its library."""
    options = [f"--target={target}", f"--features={_usable('host')}", "graph"]
    return _key(description, find_tool("buddy-compile"), options)


def _key(bytecode: bytes, tool: Path, options: Sequence[str]) -> str:
    """Everything that decides the library: module, options, this CPU, the compiler itself."""
    stat = tool.resolve().stat()
    digest = hashlib.sha256(bytecode)
    for part in (*options, cpu_fingerprint(), str(stat.st_size), str(stat.st_mtime_ns)):
        digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def _usable(features: str) -> str:
    """`host` without AMX where the kernel refuses its tile registers to this process."""
    try:
        from . import _runtime
    except ImportError:  # then nothing runs here
        return features
    if features != "host" or "amx-tile" in _runtime.cpu_features():
        return features
    return "host,-amx-tile"


def cpu_fingerprint() -> str:
    """What "host" features mean on this machine, and how many cores share a kernel."""
    cores = len(os.sched_getaffinity(0))
    try:
        from . import _runtime
    except ImportError:  # the compiler works without the launcher
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0]
        return f"{cores} {flags}"
    return ",".join([str(cores), *_runtime.cpu_features()])


def _dump_directory(dump: Path | None, key: str) -> Path | None:
    """One folder a module, so that several graphs of a program do not overwrite each other."""
    if dump is None:
        return None
    directory = dump / key[:12]
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _run(
    tool: Path,
    options: Sequence[str],
    bytecode: bytes,
    directory: Path,
    dump: Path | None,
    key: str,
) -> Path:
    """Compile into `directory`; what fails is kept for the report."""
    source, library = directory / "module.mlirbc", directory / "module.so"
    reproducer = directory / "reproducer.mlir"
    source.write_bytes(bytecode)
    command = [str(tool), str(source), "-o", str(library), *options]
    if dump is not None:
        shutil.copy(source, dump / "00-graph.mlirbc")
        command.append(f"--dump-stages={dump}")
    log.debug("%s", shlex.join(command))
    command.append(f"--crash-reproducer={reproducer}")
    limit = knobs.compile_seconds()
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        how = f"did not end within {limit:g} seconds (BUDDY_COMPILE_SECONDS)"
        raise _failure(command, directory, how, key) from None
    if result.stderr:
        log.debug("%s", result.stderr)
    code = result.returncode
    if code or not os.path.exists(library):
        how = f"was killed by signal {-code}" if code < 0 else f"failed with status {code}"
        raise _failure(command, directory, f"{how}\n{result.stderr.strip()[-4000:]}", key)
    return library


def _failure(command: list[str], directory: Path, how: str, key: str) -> CompilerError:
    """The error of a failed compile, with everything needed to repeat it kept on disk."""
    kept = disk_cache.failure_directory(key[:16])
    shutil.copytree(directory, kept, dirs_exist_ok=True)
    command = [argument.replace(str(directory), str(kept)) for argument in command]
    reproducer = kept / "reproducer.mlir"
    if not reproducer.exists():
        reproducer = kept / "module.mlirbc"
    message = f"buddy-compile {how}\nreproducer: {reproducer}\nto repeat: {shlex.join(command)}"
    return CompilerError(message, command, reproducer)
