# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling: windows as reduction loops over a padded input."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from ..types import Dim, TensorSpec, compute_dtype, is_float, product, simplify
from . import scalar as s
from .emitter import Emitter
from .reduction import lowest
from .registry import Unsupported, lowers

aten = torch.ops.aten


class Window:
    """Loops of a pooling: batch and output dimensions, then the offsets in the window.

    With `ceil_mode` the last window may end less than a stride behind the border.
    """

    def __init__(
        self, e: Emitter, x, out: TensorSpec, kernel, stride, padding, dilation, ceil_mode=False
    ):
        self.spatial = len(kernel)
        self.parallel = out.rank
        self.kernel, self.stride = list(kernel), list(stride or kernel)
        self.padding, self.dilation = list(padding), list(dilation)
        self.ceil_mode = ceil_mode
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
        padded = e.pad(x, low, high, value)
        # A single window is as large as what it reads: its loop will be dropped.
        sizes = list(e.shape(padded))
        for i in range(self.spatial):
            if out.shape[self.batch + i] == 1:
                sizes[self.batch + i] = self._reach(1, i)
        return e.crop(padded, sizes)

    def _reach(self, windows: int, i: int) -> int:
        """Elements from the first to the last one read."""
        return (windows - 1) * self.stride[i] + (self.kernel[i] - 1) * self.dilation[i] + 1

    def _high(self, size: Dim, windows: Dim, i: int) -> int:
        """Elements to add after the last one so that every window lies inside."""
        if not (isinstance(size, int) and isinstance(windows, int)):
            return self.padding[i] + (self.stride[i] - 1 if self.ceil_mode else 0)
        return max(self.padding[i], self._reach(windows, i) - size - self.padding[i])


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
    return _max_pool(e, x, 2, kernel_size, stride, padding, dilation, ceil_mode)


@lowers(aten.max_pool3d_with_indices.default)
def max_pool3d_with_indices(
    e: Emitter, x, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False
):
    return _max_pool(e, x, 3, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool(e: Emitter, x, spatial: int, kernel_size, stride, padding, dilation, ceil_mode):
    """Values and their flat positions in the unpadded plane; the last NaN wins as in eager.

    Positions that the graph does not read are not computed.
    """
    out, positions = e.out
    if e.is_empty(out):
        return e.empty(out), e.empty(positions)
    kernel = _each(kernel_size, spatial, ())
    border_of = _each(padding, spatial, ()), _each(dilation, spatial, ())
    window = Window(e, x, out, kernel, _each(stride, spatial, kernel), *border_of, ceil_mode)
    border = window.padded(e, x, out, lowest(out.dtype))
    shape = e.empty(TensorSpec(tuple(kernel), out.dtype))
    lowest_values = e.full(out, lowest(out.dtype))
    if 1 not in e.read:
        values = e.generic(
            [border, shape],
            [lowest_values],
            window.maps(1),
            window.parallel,
            spatial,
            lambda element, _, best: s.maximum(element, best),
        )
        return values[0], None
    extents = [e.index(d) for d in e.shape(x)[-spatial:]]

    def body(element, _, best, where):
        here = arith.index_cast(ir.IntegerType.get_signless(64), _flat(window, extents))
        better = s.compare("gt", element, best)
        if s.is_float_value(element):
            better = arith.ori(better, s.is_nan(element))
        better = arith.ori(better, _first_inside(window, where))
        return s.select(better, element, best), s.select(better, here, where)

    maps, starts = window.maps(2), [lowest_values, e.full(positions, -1)]
    return tuple(e.generic([border, shape], starts, maps, window.parallel, spatial, body))


def _constant(value: int) -> ir.Value:
    return arith.constant(ir.IndexType.get(), value)


def _window_start(window: Window, i: int) -> ir.Value:
    """Where the window begins in the unpadded input, along spatial dim i."""
    start = arith.muli(s.loop_index(window.batch + i), _constant(window.stride[i]))
    return arith.subi(start, _constant(window.padding[i]))


def _input_position(window: Window, i: int) -> ir.Value:
    """Where the current window element lies in the unpadded input, along spatial dim i."""
    step = arith.muli(s.loop_index(window.parallel + i), _constant(window.dilation[i]))
    return arith.addi(_window_start(window, i), step)


def _flat(window: Window, extents) -> ir.Value:
    total = _input_position(window, 0)
    for i, extent in enumerate(extents[1:], 1):
        total = arith.addi(arith.muli(total, extent), _input_position(window, i))
    return total


def _first_inside(window: Window, where: ir.Value) -> ir.Value:
    """Nothing chosen yet and not in the border: an all −inf window has a position too."""
    result = s.compare("lt", where, s.like(0, where))
    for i in range(window.spatial):
        position = _input_position(window, i)
        result = arith.andi(result, arith.cmpi(arith.CmpIPredicate.sge, position, _constant(0)))
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
    window = _avg_window(e, x, 2, kernel_size, stride, padding, ceil_mode)
    return _avg_pool(e, window, x, count_include_pad, divisor_override)


@lowers(aten.avg_pool3d.default)
def avg_pool3d(
    e: Emitter,
    x,
    kernel_size,
    stride=(),
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    window = _avg_window(e, x, 3, kernel_size, stride, padding, ceil_mode)
    return _avg_pool(e, window, x, count_include_pad, divisor_override)


def _avg_window(e: Emitter, x, spatial: int, kernel_size, stride, padding, ceil_mode) -> Window:
    kernel = _each(kernel_size, spatial, ())
    stride, padding = _each(stride, spatial, kernel), _each(padding, spatial, ())
    return Window(e, x, e.out, kernel, stride, padding, [1] * spatial, ceil_mode)


def _avg_pool(e: Emitter, window: Window, x, count_include_pad, divisor_override):
    if not is_float(e.out.dtype):
        raise Unsupported("an average of integers")
    total = _window_sums(e, window, x)
    if divisor_override or not window.ceil_mode and (count_include_pad or not any(window.padding)):
        return e.pointwise(arith.divf, total, divisor_override or pymath.prod(window.kernel))
    return _divided(e, total, window, count_include_pad)


def _divided(e: Emitter, x, window: Window, count_include_pad):
    """x by the number of elements in each window, as e.out."""
    counted = window.padding if count_include_pad else [0] * window.spatial
    ends = [e.index(simplify(d + p)) for d, p in zip(window.shape[-window.spatial :], counted)]
    source, wide = e.dtype(x), compute_dtype(e.out.dtype)

    def body(value):
        count = None
        for i, (end, pad) in enumerate(zip(ends, counted)):
            start = _window_start(window, i)
            stop = arith.minsi(arith.addi(start, _constant(window.kernel[i])), end)
            length = arith.subi(stop, arith.maxsi(start, _constant(-pad)))
            count = length if count is None else arith.muli(count, length)
        count = arith.index_cast(ir.IntegerType.get_signless(64), count)
        value = s.cast(value, source, wide)
        quotient = arith.divf(value, s.cast(count, torch.int64, wide))
        return s.cast(quotient, wide, e.out.dtype)

    return e.map(body, [x], e.out)


def _window_sums(e: Emitter, window: Window, x):
    out, source = e.out, e.dtype(x)
    wide = compute_dtype(out.dtype)
    border = window.padded(e, x, out, 0)
    shape = e.empty(TensorSpec(tuple(window.kernel), out.dtype))

    def body(element, _, total):
        return s.add(total, s.cast(element, source, wide))

    start = e.full(out.with_dtype(wide), 0)
    if e.is_empty(out):
        return start
    reductions = window.spatial
    return e.generic([border, shape], [start], window.maps(1), window.parallel, reductions, body)[0]


@lowers(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(e: Emitter, x, output_size):
    """Windows of equal size; the decomposition takes the others."""
    sizes = e.shape(x)[-2:]
    if not all(isinstance(d, int) and o and d % o == 0 for d, o in zip(sizes, output_size)):
        raise Unsupported("adaptive pooling to a size that does not divide the input's")
    kernel = [d // o for d, o in zip(sizes, output_size)]
    window = Window(e, x, e.out, kernel, kernel, [0, 0], [1, 1])
    return e.pointwise(arith.divf, _window_sums(e, window, x), product(kernel))


@lowers(aten.avg_pool2d_backward.default)
def avg_pool2d_backward(
    e: Emitter,
    grad_output,
    x,
    kernel_size,
    stride,
    padding,
    ceil_mode,
    count_include_pad,
    divisor_override,
):
    return _avg_pool_backward(
        e,
        grad_output,
        _backward_window(e, grad_output, x, 2, kernel_size, stride, padding),
        count_include_pad,
        divisor_override,
    )


@lowers(aten.avg_pool3d_backward.default)
def avg_pool3d_backward(
    e: Emitter,
    grad_output,
    x,
    kernel_size,
    stride,
    padding,
    ceil_mode,
    count_include_pad,
    divisor_override,
):
    return _avg_pool_backward(
        e,
        grad_output,
        _backward_window(e, grad_output, x, 3, kernel_size, stride, padding),
        count_include_pad,
        divisor_override,
    )


def _backward_window(e: Emitter, grad, x, spatial: int, kernel_size, stride, padding) -> Window:
    kernel = _each(kernel_size, spatial, ())
    padding = _each(padding, spatial, ())
    stride = _each(stride, spatial, kernel)
    return Window(e, x, e.spec(grad), kernel, stride, padding, [1] * spatial)


def _avg_pool_backward(e: Emitter, grad, window: Window, count_include_pad, divisor_override):
    """Each input's sum over the windows that it is in: parallel, for nothing is written twice."""
    out = e.out
    e.out = e.spec(grad).with_dtype(compute_dtype(out.dtype))
    share = _shares(e, grad, window, count_include_pad, divisor_override)
    e.out = out
    if e.is_empty(out) or e.is_empty(e.spec(grad)):
        return e.full(out, 0)
    counts = [e.index(d) for d in e.shape(grad)[window.batch :]]
    shape = e.empty(TensorSpec(tuple(window.kernel), out.dtype))
    loops = [ir.AffineDimExpr.get(i) for i in range(out.rank + window.spatial)]
    maps = [
        ir.AffineMap.get(len(loops), 0, loops[out.rank :]),
        ir.AffineMap.get(len(loops), 0, loops[: out.rank]),
    ]

    def body(_, total):
        at = [s.loop_index(d) for d in range(window.batch)]
        inside = None
        for i, count in enumerate(counts):
            place = arith.addi(s.loop_index(window.batch + i), _constant(window.padding[i]))
            place = arith.subi(place, s.loop_index(out.rank + i))
            stride = _constant(window.stride[i])
            number = arith.divsi(place, stride)
            whole = arith.cmpi(arith.CmpIPredicate.eq, arith.muli(number, stride), place)
            # Unsigned: a negative place is beyond the end as well.
            exists = arith.cmpi(arith.CmpIPredicate.ult, number, count)
            exists = arith.andi(exists, whole)
            inside = exists if inside is None else arith.andi(inside, exists)
            at.append(arith.select(exists, number, _constant(0)))
        element = tensor.extract(share, at)
        return s.add(total, s.select(inside, element, s.like(0, element)))

    start = e.full(out.with_dtype(e.dtype(share)), 0)
    return e.cast(e.generic([shape], [start], maps, out.rank, window.spatial, body)[0], out.dtype)


def _shares(e: Emitter, grad, window: Window, count_include_pad, divisor_override):
    """Each window's gradient divided by what its sum was."""
    if divisor_override:
        return e.pointwise(arith.divf, grad, divisor_override)
    return _divided(e, grad, window, count_include_pad)
