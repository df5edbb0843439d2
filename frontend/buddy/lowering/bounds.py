# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Indices that a program computes: kept inside of the tensor they read, and reported if outside.

A compiled function cannot raise. It counts the indices that are out of range, returns one
number, and the caller raises the error that the number stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mlir import ir
from mlir.dialects import arith
from torch import fx
from torch._ops import OpOverload

from ..errors import OutOfRangeError
from ..locations import where
from ..types import Dim, TensorSpec, simplify
from . import scalar as s
from .emitter import Emitter


@dataclass(frozen=True)
class Check:
    """One 0-d i64: 0 where all is well, else n for messages[n - 1], the last for any larger n.

    Without a value there is nothing to check.
    """

    values: Sequence[ir.Value]
    messages: tuple[str, ...]


def check_range(e: Emitter, index: ir.Value, size: Dim, *, negative: bool = False) -> None:
    """Let the call fail where an element of `index` is not in 0..size (`negative`: -size..size)."""
    key = (index, size, negative)
    if e.checks is None or key in e.checks or e.is_empty(e.spec(index)) or _is_internal(e.node):
        return
    extent = e.index(size)

    def count(element, total):
        place = arith.index_cast(ir.IndexType.get(), element)
        limit = extent
        if negative:
            place, limit = arith.addi(place, extent), arith.addi(extent, extent)
        outside = arith.cmpi(arith.CmpIPredicate.uge, place, limit)
        return arith.addi(total, arith.extui(total.type, outside))

    total = e.reduce(index, range(e.rank(index)), count, [(0, torch.int64)])[0]
    low = f"-{size}" if negative else "0"
    message = (
        f"{OutOfRangeError.subject}: {e.node.target} at {where(e.node)} takes {low} to {size} - 1"
    )
    e.checks[key] = Check([total], (message,))


def _is_internal(node: fx.Node) -> bool:
    """Whether the indices are a decomposition's own, of an op that takes none: they are right."""
    called = node.meta.get("original_aten")
    if not isinstance(called, OpOverload):
        return False
    return not any(a.name in ("index", "indices", "target") for a in called._schema.arguments)


def last_of(e: Emitter, size: Dim) -> ir.Value:
    """The last position along a dimension, as an index value; to be asked for outside of loops."""
    return e.index(simplify(size - 1))


def clamped(place: ir.Value, last: ir.Value) -> ir.Value:
    """An index value that is safe to read at: `last` for those that are out of range."""
    return arith.minui(place, last)


def first_failure(e: Emitter) -> Check:
    """All checks of the function as one."""
    checks = list((e.checks or {}).values())
    messages = tuple(message for check in checks for message in check.messages)
    if not checks:
        return Check([], ())

    def body(*values):
        code, offset = s.like(0, values[0]), len(messages)
        for value, check in zip(reversed(values), reversed(checks)):
            offset -= len(check.messages)
            number = arith.minsi(value, s.like(len(check.messages), value))
            failed = s.compare("ne", value, s.like(0, value))
            code = s.select(failed, s.add(number, s.like(offset, value)), code)
        return code

    values = [check.values[0] for check in checks]
    return Check([e.map(body, values, TensorSpec((), torch.int64))], messages)
