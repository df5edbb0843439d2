# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions: TOSA's take one axis and keep it."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import tosa

from ...types import product
from ..emitter import Emitter
from ..reduction import dims_of
from .builder import NotTosa, constant, emit, emit_inferred, no_shift, reshape, tosa_lowers

aten = torch.ops.aten


def fold(e: Emitter, op, x, dims):
    """x reduced along each of dims, which stay as size 1."""
    for dim in dims:
        shape = [1 if i == dim else d for i, d in enumerate(e.shape(x))]
        axis = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), dim)
        x = emit_inferred(e, op, e.spec(x).with_shape(shape), x, axis)
    return x


def _fold_to_result(e: Emitter, op, x, dims, *wanted: torch.dtype):
    if e.dtype(x) not in wanted or e.out.dtype != e.dtype(x):
        raise NotTosa
    return reshape(e, fold(e, op, x, dims), e.out.shape)


@tosa_lowers(aten.sum.dim_IntList)
def sum_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _fold_to_result(e, tosa.ReduceSumOp, x, dims_of(e, x, dim), torch.float32)


@tosa_lowers(aten.mean.dim)
def mean_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    dims = dims_of(e, x, dim)
    total = _fold_to_result(e, tosa.ReduceSumOp, x, dims, torch.float32)
    share = constant(e, 1 / product([e.shape(x)[d] for d in dims]), e.out.dtype, e.out.rank)
    return emit(e, tosa.MulOp, e.out, total, share, no_shift())


@tosa_lowers(aten.amax.default)
def amax(e: Emitter, x, dim=(), keepdim=False):
    kinds = (torch.float32, torch.int32)
    return _fold_to_result(e, tosa.ReduceMaxOp, x, dims_of(e, x, dim), *kinds)


@tosa_lowers(aten.amin.default)
def amin(e: Emitter, x, dim=(), keepdim=False):
    kinds = (torch.float32, torch.int32)
    return _fold_to_result(e, tosa.ReduceMinOp, x, dims_of(e, x, dim), *kinds)


@tosa_lowers(aten.prod.dim_int)
def prod_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _fold_to_result(e, tosa.ReduceProductOp, x, dims_of(e, x, dim), torch.float32)


@tosa_lowers(aten.any.dim)
def any_dim(e: Emitter, x, dim, keepdim=False):
    return _fold_to_result(e, tosa.ReduceAnyOp, x, dims_of(e, x, dim), torch.bool)


@tosa_lowers(aten.all.dim)
def all_dim(e: Emitter, x, dim, keepdim=False):
    return _fold_to_result(e, tosa.ReduceAllOp, x, dims_of(e, x, dim), torch.bool)
