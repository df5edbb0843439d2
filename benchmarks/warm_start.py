# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Seconds to the first answer of a new process whose caches are warm.

The clock starts when torch is imported and the model, its classes and its inputs are there, and
stops with the first result. `dynamo` is torch.compile with a backend that runs the graph eagerly:
what any backend of torch.compile waits for. `package` loads what `buddy.compile_package` made, for
which nothing is traced. One round starts each of them once, in turn; the first fills the caches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from workloads import Workload, build

COMPILERS = {"dynamo": "eager", "inductor": "inductor", "buddy": "buddy"}  # backends by way
WAYS = [*COMPILERS, "package"]


def call_of(way: str, workload: Workload, package: Path) -> Callable:
    if way == "package":
        import buddy

        return buddy.load_package(package)
    return torch.compile(workload.module, backend=COMPILERS[way])


def first_answer(way: str, workload: Workload, package: Path) -> float:
    if way == "package" and not package.exists():
        import buddy

        exported = torch.export.export(workload.module, workload.inputs, workload.keywords)
        buddy.compile_package(exported, package)
    start = time.perf_counter()
    workload.run(call_of(way, workload, package))
    return time.perf_counter() - start


def in_new_process(way: str, options: argparse.Namespace, caches: Path) -> float:
    command = [sys.executable, __file__, options.workload, "--threads", str(options.threads)]
    places = {"BUDDY_CACHE_DIR": caches / "buddy", "TORCHINDUCTOR_CACHE_DIR": caches / "inductor"}
    done = subprocess.run(
        [*command, "--way", way, "--package", caches / "package"],
        env=os.environ | {name: str(path) for name, path in places.items()},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", nargs="?", default="bert-base")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--way", choices=WAYS, help="in this process, once")
    parser.add_argument("--package", type=Path, help="of --way package; made if it is not there")
    options = parser.parse_args()
    if options.way:
        torch.set_num_threads(options.threads)
        workload = build(options.workload, torch.float32)
        print(first_answer(options.way, workload, options.package))
        return
    with tempfile.TemporaryDirectory() as caches:
        rounds = [
            [in_new_process(way, options, Path(caches)) for way in WAYS]
            for _ in range(1 + options.rounds)
        ]
    for way, (_, *seconds) in zip(WAYS, zip(*rounds)):
        print(
            f"{way}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        )


if __name__ == "__main__":
    main()
