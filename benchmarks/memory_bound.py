# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chains whose tensors come from memory, beside a copy of as many bytes.

Where buffers lie in physical memory decides on a third of the speed, of copies too, so that two
processes cannot be compared. Here one process times both in turn, with new buffers for all of them
in each round. `share` is the time of the copy / that of the chain; of the rounds the median, the
lowest and the highest.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "100000")  # before torch brings OpenMP

import torch
from backends import CopyOfSameBytes
from workloads import WORKLOADS, Workload, build

CHAINS = [name for name in WORKLOADS if name.endswith("-24MiB")]
CALLS = 3
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_memory() -> None:
    """Results are not fresh memory at each call: page faults would be most of what is measured."""
    allocator = ctypes.CDLL(None)
    allocator.mallopt(M_MMAP_THRESHOLD, 32 << 20)
    allocator.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def milliseconds(call: Callable, *inputs: torch.Tensor) -> float:
    call(*inputs)
    start = time.perf_counter()
    for _ in range(CALLS):
        call(*inputs)
    return (time.perf_counter() - start) / CALLS * 1e3


def round_of(workload: Workload, compiled: Callable, turns: int) -> tuple[float, float]:
    """Medians of the chain and of the copy."""
    inputs = [x.clone() for x in workload.inputs]
    calls = compiled, CopyOfSameBytes(compiled)
    samples = [[milliseconds(call, *inputs) for call in calls] for _ in range(turns)]
    chain, copy = zip(*samples)
    return statistics.median(chain), statistics.median(copy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    for name in CHAINS:
        workload = build(name, torch.float32)
        compiled = torch.compile(workload.module, backend="buddy")
        with torch.no_grad():
            rounds = [round_of(workload, compiled, options.turns) for _ in range(options.rounds)]
        chain, copy = (statistics.median(times) for times in zip(*rounds))
        shares = [copy / chain for chain, copy in rounds]
        share = f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
        print(f"{name}: {chain:.2f} ms, copy {copy:.2f} ms, share {share}", flush=True)


if __name__ == "__main__":
    main()
