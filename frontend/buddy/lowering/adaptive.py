# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling to a given size: windows that differ in length by one, and may overlap."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from ..types import TensorSpec
from . import scalar as s
from .emitter import Emitter
from .reduction import lowest
from .registry import Unsupported, lowers

aten = torch.ops.aten


@lowers(aten.adaptive_max_pool2d.default)
def adaptive_max_pool2d(e: Emitter, x, output_size):
    return _adaptive_max(e, x, 2)


@lowers(aten.adaptive_max_pool3d.default)
def adaptive_max_pool3d(e: Emitter, x, output_size):
    return _adaptive_max(e, x, 3)


def _adaptive_max(e: Emitter, x, spatial: int):
    """The loop over a window has the length of the longest; what lies beyond is passed over."""
    out, positions = e.out
    sizes, counts = e.shape(x)[-spatial:], out.shape[-spatial:]
    if not all(isinstance(d, int) for d in (*sizes, *counts)):
        raise Unsupported("adaptive pooling of a dynamic size")
    if e.is_empty(out):
        return e.empty(out), e.empty(positions)
    longest = [
        max(-(-(i + 1) * n // o) - i * n // o for i in range(o)) for n, o in zip(sizes, counts)
    ]
    window = e.empty(TensorSpec(tuple(longest), out.dtype))
    loops = [ir.AffineDimExpr.get(i) for i in range(out.rank + spatial)]
    maps = [
        ir.AffineMap.get(len(loops), 0, loops[out.rank :]),
        *[ir.AffineMap.get(len(loops), 0, loops[: out.rank])] * 2,
    ]
    batch = out.rank - spatial

    def body(_, best, where):
        at, inside, flat = [s.loop_index(d) for d in range(batch)], None, None
        for i, (size, count) in enumerate(zip(sizes, counts)):
            number = s.loop_index(batch + i)
            place, exists = _place(number, s.loop_index(out.rank + i), size, count)
            inside = exists if inside is None else arith.andi(inside, exists)
            flat = place if flat is None else arith.addi(arith.muli(flat, e.index(size)), place)
            at.append(place)
        element = tensor.extract(x, at)
        better = s.compare("gt", element, best)
        if s.is_float_value(element):
            better = arith.ori(better, s.is_nan(element))
        better = arith.ori(better, s.compare("lt", where, s.like(0, where)))
        better = arith.andi(better, inside)
        here = arith.index_cast(ir.IntegerType.get_signless(64), flat)
        return s.select(better, element, best), s.select(better, here, where)

    starts = [e.full(out, lowest(out.dtype)), e.full(positions, -1)]
    return tuple(e.generic([window], starts, maps, out.rank, spatial, body))


def _place(number, offset, size: int, count: int):
    """The element at `offset` of window `number`, and whether the window is that long."""

    def constant(value):
        return arith.constant(ir.IndexType.get(), value)

    start = arith.divui(arith.muli(number, constant(size)), constant(count))
    after = arith.muli(arith.addi(number, constant(1)), constant(size))
    end = arith.divui(arith.addi(after, constant(count - 1)), constant(count))
    place = arith.addi(start, offset)
    exists = arith.cmpi(arith.CmpIPredicate.ult, place, end)
    return arith.select(exists, place, start), exists
