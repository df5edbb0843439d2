# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products: TOSA has only the batched one."""

from __future__ import annotations

import torch
from mlir.dialects import tosa

from ...types import TensorSpec, compute_dtype, is_float
from ..emitter import Emitter
from . import arithmetic as a
from .builder import NotTosa, cast, emit, reshape, tosa_lowers, zero_point

aten = torch.ops.aten


def matmul(e: Emitter, x, y):
    """[B,M,K] · [B,K,N] → [B,M,N]; half precision gives sums in f32."""
    dtype = e.dtype(x)
    if not is_float(dtype):
        raise NotTosa("TOSA multiplies matrices of i8 and i16 only, into wider integers")
    spec = TensorSpec((*e.shape(x)[:2], e.shape(y)[2]), compute_dtype(dtype))
    zero = zero_point(e, dtype)
    return emit(e, tosa.MatMulOp, spec, x, y, zero, zero)


def _plain(e: Emitter, x, y):
    """[M,K] · [K,N] as a batch of one."""
    product = matmul(e, *(reshape(e, v, (1, *e.shape(v))) for v in (x, y)))
    return reshape(e, product, e.shape(product)[1:])


@tosa_lowers(aten.mm.default)
def mm(e: Emitter, x, y):
    return cast(e, _plain(e, x, y), e.out.dtype)


@tosa_lowers(aten.bmm.default)
def bmm(e: Emitter, x, y):
    return cast(e, matmul(e, x, y), e.out.dtype)


@tosa_lowers(aten.addmm.default)
def addmm(e: Emitter, bias, x, y, *, beta=1, alpha=1):
    return _add_scaled(e, bias, _plain(e, x, y), beta, alpha)


@tosa_lowers(aten.baddbmm.default)
def baddbmm(e: Emitter, bias, x, y, *, beta=1, alpha=1):
    return _add_scaled(e, bias, matmul(e, x, y), beta, alpha)


def _add_scaled(e: Emitter, bias, product, beta, alpha):
    """beta · bias + alpha · product; beta = 0 leaves the bias out, even where it is NaN."""
    product = product if alpha == 1 else a.mul(e, product, alpha)
    if beta != 0:
        bias = a.widened(e, bias)
        product = a.add(e, product, bias if beta == 1 else a.mul(e, bias, beta))
    return cast(e, product, e.out.dtype)
