# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling: windows as reduction loops over a padded input."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith

from ..types import Dim, TensorSpec, compute_dtype, product
from . import scalar as s
from .emitter import Emitter
from .reduction import lowest
from .registry import Unsupported, lowers

aten = torch.ops.aten


class Window:
    """Loops of a pooling: batch and output dimensions, then the offsets in the window."""

    def __init__(self, e: Emitter, x, out: TensorSpec, kernel, stride, padding, dilation):
        self.spatial = len(kernel)
        self.parallel = out.rank
        self.kernel, self.stride = list(kernel), list(stride or kernel)
        self.padding, self.dilation = list(padding), list(dilation)
        self.batch = self.parallel - self.spatial
        self.shape = e.shape(x)

    def maps(self, inits: int) -> list[ir.AffineMap]:
        """Indexing maps of the padded input, the window itself, and the inits."""
        loops = [ir.AffineDimExpr.get(i) for i in range(self.parallel + self.spatial)]
        out, offsets = loops[: self.parallel], loops[self.parallel :]
        read = [
            out[self.batch + i] * self.stride[i] + offsets[i] * self.dilation[i]
            for i in range(self.spatial)
        ]
        count = len(loops)
        return [
            ir.AffineMap.get(count, 0, [*out[: self.batch], *read]),
            ir.AffineMap.get(count, 0, offsets),
            *[ir.AffineMap.get(count, 0, out)] * inits,
        ]

    def padded(self, e: Emitter, x, out: TensorSpec, value):
        """x with the border; ceil_mode windows may reach further out on the high side."""
        low = [0] * self.batch + self.padding
        high = [0] * self.batch + [
            self._high(self.shape[self.batch + i], out.shape[self.batch + i], i)
            for i in range(self.spatial)
        ]
        return e.pad(x, low, high, value)

    def _high(self, size: Dim, windows: Dim, i: int) -> int:
        """Elements to add after the last one so that every window lies inside."""
        if not (isinstance(size, int) and isinstance(windows, int)):
            return self.padding[i]
        reach = (windows - 1) * self.stride[i] + (self.kernel[i] - 1) * self.dilation[i] + 1
        return max(self.padding[i], reach - size - self.padding[i])


def _each(values, spatial: int, default) -> list[int]:
    """One number per spatial dimension; empty takes the default, a single one is repeated."""
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    if not values:
        return list(default)
    return values * spatial if len(values) == 1 else values


@lowers(aten.max_pool2d_with_indices.default)
def max_pool2d_with_indices(
    e: Emitter, x, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False
):
    """Values and their flat positions in the unpadded plane; the last NaN wins as in eager.

    Positions that the graph does not read are not computed.
    """
    out, positions = e.out
    kernel = _each(kernel_size, 2, ())
    window = Window(
        e,
        x,
        out,
        kernel,
        _each(stride, 2, kernel),
        _each(padding, 2, ()),
        _each(dilation, 2, ()),
    )
    border = window.padded(e, x, out, lowest(out.dtype))
    shape = e.empty(TensorSpec(tuple(kernel), out.dtype))
    width = e.index(e.shape(x)[-1])
    lowest_values = e.full(out, lowest(out.dtype))
    if 1 not in e.read:
        values = e.generic(
            [border, shape],
            [lowest_values],
            window.maps(1),
            window.parallel,
            2,
            lambda element, _, best: s.maximum(element, best),
        )
        return values[0], None

    def body(element, _, best, where):
        here = arith.index_cast(ir.IntegerType.get_signless(64), _flat(window, width))
        better = s.compare("gt", element, best)
        if s.is_float_value(element):
            better = arith.ori(better, s.is_nan(element))
        better = arith.ori(better, _first_inside(window, e, where))
        return s.select(better, element, best), s.select(better, here, where)

    maps, starts = window.maps(2), [lowest_values, e.full(positions, -1)]
    return tuple(e.generic([border, shape], starts, maps, window.parallel, 2, body))


def _input_position(window: Window, i: int) -> ir.Value:
    """Where the current window element lies in the unpadded input, along spatial dim i."""

    def constant(value):
        return arith.constant(ir.IndexType.get(), value)

    start = arith.muli(s.loop_index(window.batch + i), constant(window.stride[i]))
    step = arith.muli(s.loop_index(window.parallel + i), constant(window.dilation[i]))
    return arith.subi(arith.addi(start, step), constant(window.padding[i]))


def _flat(window: Window, width: ir.Value) -> ir.Value:
    row, column = _input_position(window, 0), _input_position(window, 1)
    return arith.addi(arith.muli(row, width), column)


def _first_inside(window: Window, e: Emitter, where: ir.Value) -> ir.Value:
    """Nothing chosen yet and not in the border: an all −inf window has a position too."""
    zero = arith.constant(ir.IndexType.get(), 0)
    result = s.compare("lt", where, s.like(0, where))
    for i in range(2):
        position = _input_position(window, i)
        result = arith.andi(result, arith.cmpi(arith.CmpIPredicate.sge, position, zero))
    return result


@lowers(aten.avg_pool2d.default)
def avg_pool2d(
    e: Emitter,
    x,
    kernel_size,
    stride=(),
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    if ceil_mode:
        raise Unsupported("ceil_mode in avg_pool2d")
    kernel = _each(kernel_size, 2, ())
    padding = _each(padding, 2, ())
    if any(padding) and not count_include_pad and not divisor_override:
        raise Unsupported("avg_pool2d that leaves padding out of the count")
    window = Window(e, x, e.out, kernel, _each(stride, 2, kernel), padding, [1, 1])
    total = _window_sums(e, window, x)
    return e.pointwise(arith.divf, total, divisor_override or pymath.prod(kernel))


def _window_sums(e: Emitter, window: Window, x):
    out, source = e.out, e.dtype(x)
    wide = compute_dtype(out.dtype)
    border = window.padded(e, x, out, 0)
    shape = e.empty(TensorSpec(tuple(window.kernel), out.dtype))

    def body(element, _, total):
        return s.add(total, s.cast(element, source, wide))

    start = e.full(out.with_dtype(wide), 0)
    return e.generic([border, shape], [start], window.maps(1), window.parallel, 2, body)[0]


@lowers(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(e: Emitter, x, output_size):
    """Windows of equal size only, which is what backbones ask for."""
    sizes = e.shape(x)[-2:]
    if not all(isinstance(d, int) and d % o == 0 for d, o in zip(sizes, output_size)):
        raise Unsupported("adaptive pooling to a size that does not divide the input's")
    kernel = [d // o for d, o in zip(sizes, output_size)]
    window = Window(e, x, e.out, kernel, kernel, [0, 0], [1, 1])
    return e.pointwise(arith.divf, _window_sums(e, window, x), product(kernel))
