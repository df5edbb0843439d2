# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions: TOSA's layout is NHWC with OHWI kernels."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import tosa

from ...types import TensorSpec
from ..conv import _per_dim
from ..emitter import Emitter
from .builder import NotTosa, constant, emit, tosa_lowers, zero_point

aten = torch.ops.aten

TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


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
    """A plain 2-D f32 convolution; all others are linalg's."""
    if e.rank(x) != 4 or groups != 1 or transposed or e.dtype(x) != torch.float32:
        raise NotTosa
    (sy, sx), (py, px), (dy, dx) = (_per_dim(v, 2) for v in (stride, padding, dilation))
    height, width = _padding_that_divides(e, x, weight, (sy, sx), (py, px), (dy, dx))
    x, weight = _transposed(e, x, TO_CHANNELS_LAST), _transposed(e, weight, TO_CHANNELS_LAST)
    bias = constant(e, 0, torch.float32, 1) if bias is None else bias
    n, f, h, w = e.out.shape
    spec, zero = TensorSpec((n, h, w, f), e.out.dtype), zero_point(e, e.out.dtype)
    attributes = {
        "pad": ir.DenseI64ArrayAttr.get([py, height, px, width]),
        "stride": ir.DenseI64ArrayAttr.get([sy, sx]),
        "dilation": ir.DenseI64ArrayAttr.get([dy, dx]),
        "acc_type": ir.TypeAttr.get(ir.F32Type.get()),
    }
    out = emit(e, tosa.Conv2DOp, spec, x, weight, bias, zero, zero, **attributes)
    return _transposed(e, out, TO_CHANNELS_FIRST)


def _padding_that_divides(e: Emitter, x, weight, stride, padding, dilation) -> list[int]:
    """High padding per dimension: TOSA wants the windows to end exactly where the input does."""
    high = []
    for i in range(2):
        size, kernel = e.shape(x)[2 + i], e.shape(weight)[2 + i]
        rest = (size - 1 + 2 * padding[i] - (kernel - 1) * dilation[i]) % stride[i]
        if rest > padding[i]:
            raise NotTosa
        high.append(padding[i] - rest)
    return high


def _transposed(e: Emitter, x, order):
    spec = e.spec(x)
    out = spec.with_shape(spec.shape[d] for d in order)
    return emit(e, tosa.TransposeOp, out, x, ir.DenseI32ArrayAttr.get(order))
