# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions: TOSA's layout is NHWC with OHWI kernels, and HWCM for depthwise ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mlir import ir
from mlir.dialects import tosa

from ...types import TensorSpec, is_float
from ..conv import _per_dim
from ..emitter import Emitter
from .builder import NotTosa, constant, emit, pad, reshape, tosa_lowers, transpose, zero_point

aten = torch.ops.aten

TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


@dataclass(frozen=True)
class Windows:
    """Where 2-D windows lie along height and width, and how many there are."""

    kernel: list[int]
    stride: list[int]
    low: list[int]  # padding before the first element
    dilation: list[int]
    count: tuple[int, ...]

    def high(self, size: tuple[int, ...]) -> list[int]:
        """Padding (below 0: elements to leave out) that lets the last window end at the end."""
        return [
            (n - 1) * stride + (k - 1) * d + 1 - size_ - low
            for n, stride, k, d, size_, low in zip(
                self.count, self.stride, self.kernel, self.dilation, size, self.low
            )
        ]

    def attributes(self, e: Emitter, x) -> dict[str, ir.Attribute]:
        """The same on x [N,H,W,C], which holds no element too many."""
        (top, left), (bottom, right) = self.low, self.high(e.shape(x)[1:3])
        return {
            "pad": ir.DenseI64ArrayAttr.get([top, bottom, left, right]),
            "stride": ir.DenseI64ArrayAttr.get(self.stride),
        }

    def cropped(self, e: Emitter, x):
        """x [N,C,H,W] without what the last window leaves over, which TOSA does not allow."""
        high = [min(n, 0) for n in self.high(e.shape(x)[2:])]
        return pad(e, x, [0] * 4, [0, 0, *high], 0)


@tosa_lowers(aten.convolution.default)
def convolution(
    e: Emitter,
    x,
    weight,
    bias,
    stride,
    padding,
    dilation,
    transposed,
    output_padding,
    groups,
):
    """2-D convolutions of floats, plain or depthwise: x [N,C,H,W], weight [F,C/groups,KH,KW]."""
    if e.rank(x) != 4 or transposed or not is_float(e.dtype(x)):
        raise NotTosa("a transposed convolution, or one of another rank or of integers")
    if groups != 1 and e.shape(weight)[1] != 1:
        raise NotTosa("TOSA's groups have one channel each")
    stride, padding, dilation = (_per_dim(v, 2) for v in (stride, padding, dilation))
    kernel = list(e.shape(weight)[2:])
    windows = Windows(kernel, stride, padding, dilation, e.out.shape[2:])
    x = transpose(e, windows.cropped(e, x), TO_CHANNELS_LAST)
    attributes = windows.attributes(e, x) | {
        "dilation": ir.DenseI64ArrayAttr.get(dilation),
        "acc_type": ir.TypeAttr.get(ir.F32Type.get()),
    }
    op, weight = _kernel(e, weight, groups)
    n, f, h, w = e.out.shape
    dtype = e.out.dtype
    bias = constant(e, 0, dtype, 1) if bias is None else bias
    zero = zero_point(e, dtype)
    spec = TensorSpec((n, h, w, f), dtype)
    made = emit(e, op, spec, x, weight, bias, zero, zero, **attributes)
    return transpose(e, made, TO_CHANNELS_FIRST)


def _kernel(e: Emitter, weight, groups: int):
    """The op, and the weight as it takes it."""
    if groups == 1:
        return tosa.Conv2DOp, transpose(e, weight, TO_CHANNELS_LAST)
    filters, _, height, width = e.shape(weight)
    split = reshape(e, weight, (groups, filters // groups, height, width))
    return tosa.DepthwiseConv2DOp, transpose(e, split, [2, 3, 0, 1])
