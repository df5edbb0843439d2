# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products. Transposed operands stay linalg.transpose: the midend looks through them."""

from __future__ import annotations

import torch
from mlir.dialects import linalg

from ..types import TensorSpec, compute_dtype
from . import scalar as s
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten


def _accumulate(e: Emitter, op, a, b, shape):
    """`op` of a and b into zeros of the compute dtype: half precision adds up in f32."""
    dtype = e.dtype(a)
    start = e.full(TensorSpec(tuple(shape), compute_dtype(dtype)), 0)
    if e.is_empty(e.spec(a)) or e.is_empty(e.spec(b)):
        return e.cast(start, dtype)
    return e.cast(e.track(op(a, b, outs=[start]), e.spec(start)), dtype)


def matmul(e: Emitter, a, b):
    """[M,K] · [K,N]"""
    return _accumulate(e, linalg.matmul, a, b, (e.shape(a)[0], e.shape(b)[1]))


def batch_matmul(e: Emitter, a, b):
    """[B,M,K] · [B,K,N]"""
    return _accumulate(e, linalg.batch_matmul, a, b, (*e.shape(a)[:2], e.shape(b)[2]))


@lowers(aten._int_mm.default)
def int_mm(e: Emitter, a, b):
    """[M,K] · [K,N] of signed bytes, added up in i32"""
    start = e.full(e.out, 0)
    if e.is_empty(e.spec(a)) or e.is_empty(e.spec(b)):
        return start
    return e.track(linalg.matmul(a, b, outs=[start]), e.out)


@lowers(aten.mm.default)
def mm(e: Emitter, a, b):
    return matmul(e, a, b)


@lowers(aten.bmm.default)
def bmm(e: Emitter, a, b):
    return batch_matmul(e, a, b)


@lowers(aten.mv.default)
def mv(e: Emitter, a, x):
    column = e.reshape(x, [e.shape(x)[0], 1])
    return e.reshape(matmul(e, a, column), e.out.shape)


@lowers(aten.dot.default)
def dot(e: Emitter, x, y):
    row, column = e.reshape(x, [1, e.shape(x)[0]]), e.reshape(y, [e.shape(y)[0], 1])
    return e.reshape(matmul(e, row, column), ())


@lowers(aten.addmm.default)
def addmm(e: Emitter, bias, a, b, *, beta=1, alpha=1):
    return _add_scaled(e, bias, matmul(e, a, b), beta, alpha)


@lowers(aten.baddbmm.default)
def baddbmm(e: Emitter, bias, a, b, *, beta=1, alpha=1):
    return _add_scaled(e, bias, batch_matmul(e, a, b), beta, alpha)


@lowers(aten.addmv.default)
def addmv(e: Emitter, bias, a, x, *, beta=1, alpha=1):
    return _add_scaled(e, bias, mv(e, a, x), beta, alpha)


def _add_scaled(e: Emitter, bias, out, beta, alpha):
    """beta · bias + alpha · out; beta = 0 leaves the bias out, even where it is NaN."""

    def scaled(x, factor):
        return x if factor == 1 else s.mul(x, s.like(factor, x))

    if beta == 0:
        return e.pointwise(lambda p: scaled(p, alpha), out)
    return e.pointwise(lambda p, b: s.add(scaled(p, alpha), scaled(b, beta)), out, bias)
