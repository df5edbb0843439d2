# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""2-D pooling: TOSA's layout is NHWC, and its windows end where the input does."""

from __future__ import annotations

import math

import torch
from mlir import ir
from mlir.dialects import tosa

from ...types import TensorSpec, is_float
from ..emitter import Emitter
from ..pool import _each
from . import arithmetic as a
from .builder import NotTosa, cast, emit, pad, reshape, tosa_lowers, transpose, zero_point
from .conv import TO_CHANNELS_FIRST, TO_CHANNELS_LAST, Windows

aten = torch.ops.aten


def _pooled(e: Emitter, x, out: TensorSpec, windows: Windows, border: float | None, build):
    """build(x, result's type, attributes) on x [(N,) C, H, W] in NHWC, back as `out`.

    The border is filled with a number, or left to the op.
    """
    x = windows.cropped(e, reshape(e, x, (1, *e.shape(x))[-4:]))
    x = transpose(e, x, TO_CHANNELS_LAST)
    if border is not None:
        high = windows.high(e.shape(x)[1:3])
        x = pad(e, x, [0, *windows.low, 0], [0, *high, 0], border)
        windows = Windows(windows.kernel, windows.stride, [0, 0], [1, 1], windows.count)
    attributes = windows.attributes(e, x) | {"kernel": ir.DenseI64ArrayAttr.get(windows.kernel)}
    n, _, _, c = e.shape(x)
    made = build(x, TensorSpec((n, *windows.count, c), e.dtype(x)), attributes)
    return cast(e, reshape(e, transpose(e, made, TO_CHANNELS_FIRST), out.shape), out.dtype)


@tosa_lowers(aten.max_pool2d_with_indices.default)
def max_pool2d_with_indices(
    e: Emitter, x, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False
):
    """The values; positions are linalg's."""
    out = e.out[0]
    if 1 in e.read or not is_float(out.dtype):
        raise NotTosa("tosa.max_pool2d gives no positions, and integers have no -inf")
    if any(d != 1 for d in _each(dilation, 2, ())):
        raise NotTosa("tosa.max_pool2d has no dilation")
    kernel = _each(kernel_size, 2, ())
    steps = _each(stride, 2, kernel), _each(padding, 2, ())
    windows = Windows(kernel, *steps, [1, 1], out.shape[-2:])

    def build(x, spec, attributes):
        return emit(e, tosa.MaxPool2dOp, spec, x, **attributes)

    return _pooled(e, a.widened(e, x), out, windows, -math.inf, build), None


@tosa_lowers(aten.avg_pool2d.default)
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
    kernel = _each(kernel_size, 2, ())
    padding, stride = _each(padding, 2, ()), _each(stride, 2, kernel)
    if divisor_override is not None:
        raise NotTosa("tosa.avg_pool2d divides by the size of the window")
    if ceil_mode and count_include_pad and any(padding):
        raise NotTosa("windows that reach beyond a padding that counts")
    return _average(e, x, kernel, stride, padding, count_include_pad)


def _average(e: Emitter, x, kernel, stride, padding, count_border: bool):
    windows = Windows(kernel, stride, padding, [1, 1], e.out.shape[-2:])
    if not is_float(e.out.dtype):
        raise NotTosa("an average of integers")
    zero, sums = zero_point(e, torch.float32), ir.TypeAttr.get(ir.F32Type.get())

    def build(x, spec, attributes):
        return emit(e, tosa.AvgPool2dOp, spec, x, zero, zero, acc_type=sums, **attributes)

    border = 0 if count_border and any(padding) else None
    return _pooled(e, a.widened(e, x), e.out, windows, border, build)


@tosa_lowers(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(e: Emitter, x, output_size):
    """Windows of equal size; the decomposition takes the others."""
    sizes = e.shape(x)[-2:]
    if any(d % o for d, o in zip(sizes, e.out.shape[-2:])):
        raise NotTosa("windows of several sizes")
    kernel = [d // o for d, o in zip(sizes, e.out.shape[-2:])]
    return _average(e, x, kernel, kernel, [0, 0], count_border=False)
