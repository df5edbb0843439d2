# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions: TOSA's take one axis and keep it."""

from __future__ import annotations

import torch
from mlir.dialects import tosa

from ...types import compute_dtype, is_float, product
from ..emitter import Emitter
from ..reduction import dims_of
from . import arithmetic as a
from .builder import NotTosa, cast, reshape, tosa_lowers

aten = torch.ops.aten


def _fold_to_result(e: Emitter, op, x, dims, share: float | None = None):
    """x in the result's compute dtype, folded, times `share`."""
    if op not in (tosa.ReduceAnyOp, tosa.ReduceAllOp) and e.out.dtype == torch.bool:
        raise NotTosa("TOSA orders no booleans")
    folded = reshape(e, a.fold(e, op, cast(e, x, compute_dtype(e.out.dtype)), dims), e.out.shape)
    folded = folded if share is None else a.mul(e, folded, share)
    return cast(e, folded, e.out.dtype)


def _mean(e: Emitter, x, dims):
    if not is_float(e.out.dtype):
        raise NotTosa("a mean of integers")
    share = 1 / product([e.shape(x)[d] for d in dims])
    return _fold_to_result(e, tosa.ReduceSumOp, x, dims, share)


@tosa_lowers(aten.sum.default)
def sum_all(e: Emitter, x, *, dtype=None):
    return _fold_to_result(e, tosa.ReduceSumOp, x, dims_of(e, x, None))


@tosa_lowers(aten.sum.dim_IntList)
def sum_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _fold_to_result(e, tosa.ReduceSumOp, x, dims_of(e, x, dim))


@tosa_lowers(aten.mean.default)
def mean_all(e: Emitter, x, *, dtype=None):
    return _mean(e, x, dims_of(e, x, None))


@tosa_lowers(aten.mean.dim)
def mean_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _mean(e, x, dims_of(e, x, dim))


@tosa_lowers(aten.amax.default)
def amax(e: Emitter, x, dim=(), keepdim=False):
    return _fold_to_result(e, tosa.ReduceMaxOp, x, dims_of(e, x, dim))


@tosa_lowers(aten.amin.default)
def amin(e: Emitter, x, dim=(), keepdim=False):
    return _fold_to_result(e, tosa.ReduceMinOp, x, dims_of(e, x, dim))


@tosa_lowers(aten.prod.dim_int)
def prod_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _fold_to_result(e, tosa.ReduceProductOp, x, dims_of(e, x, dim))


@tosa_lowers(aten.any.dim)
def any_dim(e: Emitter, x, dim, keepdim=False):
    return _fold_to_result(e, tosa.ReduceAnyOp, x, dims_of(e, x, dim))


@tosa_lowers(aten.all.dim)
def all_dim(e: Emitter, x, dim, keepdim=False):
    return _fold_to_result(e, tosa.ReduceAllOp, x, dims_of(e, x, dim))
