# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""For tests and coverage: which overloads the compiler lowered, and which it took apart."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from torch._ops import OpOverload

from . import compilation, graph_cache, importer
from .lowering import LOWERINGS, find, functionalized

Note = Callable[[str, OpOverload], None]


@contextmanager
def recording(note: Note) -> Iterator[None]:
    """Call `note` for every overload met: with the dialect it is lowered to, or "decomposed"."""

    def finding(op, dialect="linalg"):
        found = find(op, dialect)
        if found is not None:
            note(dialect if op in LOWERINGS[dialect] else "linalg", op)
        return found

    @functools.cache
    def decompositions(training: bool = False) -> dict[OpOverload, Callable]:
        table = original(training=training)
        return {op: _noting(fn, op, note) for op, fn in table.items()}

    original = compilation.decompositions
    with (
        mock.patch.object(importer, "find", finding),
        mock.patch.object(functionalized, "find", finding),
        mock.patch.object(compilation, "decompositions", decompositions),
        mock.patch.object(graph_cache, "key_of", lambda *graph: None),  # all is compiled
    ):
        yield


def _noting(fn: Callable, op: OpOverload, note: Note) -> Callable:
    @functools.wraps(fn)
    def decompose(*args, **kwargs):
        result = fn(*args, **kwargs)
        if result is not NotImplemented:
            note("decomposed", op)
        return result

    return decompose
