# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax and the normalizations, composed as their linalg forms are."""

from __future__ import annotations

import torch
from mlir.dialects import tosa

from ..emitter import Emitter
from . import arithmetic as a
from .builder import NotTosa, cast, reshape, tosa_lowers

aten = torch.ops.aten


@tosa_lowers(aten._softmax.default)
def softmax(e: Emitter, x, dim, half_to_float):
    """exp(x − max) ÷ Σ exp(x − max)"""
    dim %= _rank_of_rows(e, x)
    shifted, weights = _exponentials(e, x, dim)
    return cast(e, a.div(e, weights, a.total(e, weights, [dim])), e.out.dtype)


@tosa_lowers(aten._log_softmax.default)
def log_softmax(e: Emitter, x, dim, half_to_float):
    """x − max − log Σ exp(x − max)"""
    dim %= _rank_of_rows(e, x)
    shifted, weights = _exponentials(e, x, dim)
    logarithm = a.unary(e, tosa.LogOp, a.total(e, weights, [dim]))
    return cast(e, a.sub(e, shifted, logarithm), e.out.dtype)


def _rank_of_rows(e: Emitter, x) -> int:
    if e.rank(x) == 0:
        raise NotTosa("reductions want a dimension")
    return e.rank(x)


def _exponentials(e: Emitter, x, dim: int):
    """x − max along dim, and its exponential, in the compute dtype."""
    x = a.widened(e, x)
    shifted = a.sub(e, x, a.peak(e, x, [dim]))
    return shifted, a.exp(e, shifted)


@tosa_lowers(aten.native_layer_norm.default)
def native_layer_norm(e: Emitter, x, normalized_shape, weight, bias, eps):
    """(x − mean) · rsqrt(var + eps) · weight + bias over the last dimensions; mean, rsqrt."""
    out, mean_spec, scale_spec = e.out
    dims = range(e.rank(x) - len(normalized_shape), e.rank(x))
    centered, scale, mean = _moments(e, a.widened(e, x), dims, eps)
    result = _affine(e, a.mul(e, centered, scale), weight, bias)
    moments = (cast(e, mean, mean_spec.dtype), cast(e, scale, scale_spec.dtype))
    return cast(e, result, out.dtype), *moments


def _moments(e: Emitter, x, dims, eps):
    """x − mean, rsqrt(var + eps) and mean over dims, which stay as 1."""
    mean = a.average(e, x, dims)
    centered = a.sub(e, x, mean)
    variance = a.average(e, a.mul(e, centered, centered), dims)
    return centered, a.rsqrt(e, a.add(e, variance, eps)), mean


def _affine(e: Emitter, x, weight, bias):
    """x · weight + bias, of which both may be missing."""
    for combine, parameter in ((a.mul, weight), (a.add, bias)):
        x = x if parameter is None else combine(e, x, a.widened(e, parameter))
    return x


@tosa_lowers(aten._native_batch_norm_legit_no_training.default)
def batch_norm(e: Emitter, x, weight, bias, running_mean, running_var, momentum, eps):
    """(x − mean) · (rsqrt(var + eps) · weight) + bias per channel, x [N, C, ...]."""
    channel = (e.shape(x)[1], *[1] * (e.rank(x) - 2))
    given = running_mean, running_var, weight, bias
    mean, variance, weight, bias = (
        p if p is None else reshape(e, a.widened(e, p), channel) for p in given
    )
    scale = a.rsqrt(e, a.add(e, variance, eps))
    scale = scale if weight is None else a.mul(e, scale, weight)
    result = _affine(e, a.sub(e, a.widened(e, x), mean), scale, bias)
    return cast(e, result, e.out[0].dtype), None, None  # empty tensors, which TOSA lacks
