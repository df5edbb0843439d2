# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Counters of the whole process: what was compiled, what was not, and where the time went."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_counts: Counter[str] = Counter()
_fallback_ops: Counter[str] = Counter()
_linalg_ops: Counter[str] = Counter()
_seconds: Counter[str] = Counter()

COUNTERS = ("graphs", "nodes_lowered", "nodes_fallback", "cache_hits", "cache_misses")


def count(counter: str, amount: int = 1) -> None:
    """Add to one of `COUNTERS`."""
    assert counter in COUNTERS, counter
    with _lock:
        _counts[counter] += amount


def count_fallback(op: str) -> bool:
    """Count one call of `op` left to eager; True the first time, when the user is warned."""
    with _lock:
        _fallback_ops[op] += 1
        _counts["nodes_fallback"] += 1
        return _fallback_ops[op] == 1


def count_linalg(ops: Iterable[str]) -> None:
    """Count calls that a dialect other than linalg was wanted for, and linalg serves."""
    with _lock:
        _linalg_ops.update(ops)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Add the time of the block to stage `name`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        with _lock:
            _seconds[name] += time.perf_counter() - start


def stats() -> dict[str, Any]:
    """A snapshot: graphs, nodes_lowered, nodes_fallback, fallback_ops, linalg_ops, cache_hits,
    seconds. `linalg_ops` are the calls that another dialect was wanted for, by overload.
    """
    with _lock:
        counts: dict[str, Any] = {name: _counts[name] for name in COUNTERS}
        ops = {"fallback_ops": dict(_fallback_ops), "linalg_ops": dict(_linalg_ops)}
        return counts | ops | {"seconds": dict(_seconds)}


def reset() -> None:
    """All counters back to zero."""
    with _lock:
        for counter in (_counts, _fallback_ops, _linalg_ops, _seconds):
            counter.clear()
