# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling to a given size: windows that differ in length by one, and may overlap."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith, tensor
from torch.utils._sympy.functions import FloorDiv

from ..types import Dim, TensorSpec, simplify
from . import scalar as s
from .emitter import Emitter
from .reduction import lowest
from .registry import lowers

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
    if e.is_empty(out):
        return e.empty(out), e.empty(positions)
    window = e.empty(TensorSpec(tuple(map(_longest, sizes, counts)), out.dtype))
    extents = [(e.index(n), e.index(o)) for n, o in zip(sizes, counts)]
    loops = [ir.AffineDimExpr.get(i) for i in range(out.rank + spatial)]
    maps = [
        ir.AffineMap.get(len(loops), 0, loops[out.rank :]),
        *[ir.AffineMap.get(len(loops), 0, loops[: out.rank])] * 2,
    ]
    batch = out.rank - spatial

    def body(_, best, where):
        at, inside, flat = [s.loop_index(d) for d in range(batch)], None, None
        for i, (size, count) in enumerate(extents):
            number = s.loop_index(batch + i)
            place, exists = _place(number, s.loop_index(out.rank + i), size, count)
            inside = exists if inside is None else arith.andi(inside, exists)
            flat = place if flat is None else arith.addi(arith.muli(flat, size), place)
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


def _longest(size: Dim, count: Dim) -> Dim:
    """Elements of the longest of `count` windows over `size`; a bound of it where they vary."""
    if isinstance(size, int) and isinstance(count, int):
        return max(-(-(i + 1) * size // count) - i * size // count for i in range(count))
    return simplify(FloorDiv(size + count - 1, count) + 1)


def _place(number, offset, size, count):
    """The element at `offset` of window `number`, and whether the window is that long.

    All are index values.
    """
    one = arith.constant(ir.IndexType.get(), 1)
    start = arith.divui(arith.muli(number, size), count)
    after = arith.muli(arith.addi(number, one), size)
    end = arith.divui(arith.addi(after, arith.subi(count, one)), count)
    place = arith.addi(start, offset)
    exists = arith.cmpi(arith.CmpIPredicate.ult, place, end)
    return arith.select(exists, place, start), exists
