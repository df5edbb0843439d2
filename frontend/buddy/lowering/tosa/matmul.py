# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products: TOSA has only the batched one."""

from __future__ import annotations

import torch
from mlir.dialects import tosa

from ...types import TensorSpec
from ..emitter import Emitter
from .builder import NotTosa, emit, reshape, tosa_lowers, zero_point
from .elementwise import binary

aten = torch.ops.aten


def matmul(e: Emitter, a, b):
    """[B,M,K] · [B,K,N] → [B,M,N] in f32."""
    if e.dtype(a) != torch.float32:
        raise NotTosa
    spec = TensorSpec((*e.shape(a)[:2], e.shape(b)[2]), e.dtype(a))
    zero = zero_point(e, e.dtype(a))
    return emit(e, tosa.MatMulOp, spec, a, b, zero, zero)


def _plain(e: Emitter, a, b):
    """[M,K] · [K,N] as a batch of one."""
    product = matmul(e, *(reshape(e, x, (1, *e.shape(x))) for x in (a, b)))
    return reshape(e, product, e.shape(product)[1:])


@tosa_lowers(aten.mm.default)
def mm(e: Emitter, a, b):
    return _plain(e, a, b)


@tosa_lowers(aten.bmm.default)
def bmm(e: Emitter, a, b):
    return matmul(e, a, b)


@tosa_lowers(aten.addmm.default)
def addmm(e: Emitter, bias, a, b, *, beta=1, alpha=1):
    if beta != 1 or alpha != 1:
        raise NotTosa
    return binary(e, tosa.AddOp, _plain(e, a, b), bias)
