# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax and the normalizations that are worth more than their decomposition."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith, math

from ..types import TensorSpec, compute_dtype, product
from . import scalar as s
from .emitter import Emitter
from .reduction import fold, sum_of
from .registry import lowers

aten = torch.ops.aten


@lowers(aten._softmax.default)
def softmax(e: Emitter, x, dim, half_to_float):
    """exp(x − max) ÷ Σ exp(x − max)"""
    if e.is_empty(e.out):
        return e.empty(e.out)
    x, dim = _at_least_1d(e, x, dim)
    wide = compute_dtype(e.dtype(x))
    peak = _peak(e, x, dim, wide)
    # Kept for the second pass: an exponential costs more than reading it again.
    exponentials = e.pointwise(
        lambda v, m: _exponential(arith.subf(v, m)), x, peak, out=TensorSpec(e.shape(x), wide)
    )
    total = sum_of(e, exponentials, [dim], wide)
    # One division a row instead of one an element.
    inverse = e.pointwise(lambda t: arith.divf(s.like(1, t), t), total, out=e.spec(total))
    out = TensorSpec(e.shape(x), e.out.dtype)
    return e.reshape(e.pointwise(arith.mulf, exponentials, inverse, out=out), e.out.shape)


@lowers(aten._log_softmax.default)
def log_softmax(e: Emitter, x, dim, half_to_float):
    """x − max − log Σ exp(x − max)"""
    if e.is_empty(e.out):
        return e.empty(e.out)
    x, dim = _at_least_1d(e, x, dim)
    wide = TensorSpec(e.shape(x), compute_dtype(e.dtype(x)))
    peak = _peak(e, x, dim, wide.dtype)
    shifted = e.pointwise(arith.subf, x, peak, out=wide)
    total = sum_of(e, e.pointwise(_exponential, shifted, out=wide), [dim], wide.dtype)
    logarithm = e.pointwise(math.log, total, out=e.spec(total))
    out = TensorSpec(wide.shape, e.out.dtype)
    return e.reshape(e.pointwise(arith.subf, shifted, logarithm, out=out), e.out.shape)


def _peak(e: Emitter, x, dim: int, dtype: torch.dtype):
    """The maximum, of the others where one is a NaN: that one's exponential makes the sum a NaN."""
    others = arith.FastMathFlags.nnan
    return fold(e, x, [dim], lambda m, v: arith.maximumf(m, v, fastmath=others), -pymath.inf, dtype)


def _exponential(distance):
    """exp(x) of a difference x, in f32 as 2^(x / ln 2).

    That the quotient is rounded moves the result by |x| halves of an ulp at most, as much as the
    rounding of the difference did.
    """
    if distance.type != ir.F32Type.get():
        return math.exp(distance)
    return math.exp2(arith.mulf(distance, s.like(1 / pymath.log(2), distance)))


def _at_least_1d(e: Emitter, x, dim: int):
    if e.rank(x) == 0:
        return e.reshape(x, (1,)), 0
    return x, dim % e.rank(x)


@lowers(aten.native_layer_norm.default)
def native_layer_norm(e: Emitter, x, normalized_shape, weight, bias, eps):
    """(x − mean) · rsqrt(var + eps) · weight + bias over the last dimensions; mean, rsqrt."""
    out, mean_spec, _ = e.out
    rank = e.rank(x)
    dims = list(range(rank - len(normalized_shape), rank))
    centered, scale, mean = _moments(e, x, dims, eps)
    affine = [p for p in (weight, bias) if p is not None]

    def body(distance, factor, *parameters):
        result = arith.mulf(distance, factor)
        given = iter(parameters)
        if weight is not None:
            result = arith.mulf(result, next(given))
        return arith.addf(result, next(given)) if bias is not None else result

    result = e.pointwise(body, centered, scale, *affine, out=out)
    return result, e.cast(mean, mean_spec.dtype), e.cast(scale, mean_spec.dtype)


def _moments(e: Emitter, x, dims, eps):
    """x − mean, rsqrt(var + eps) and mean over dims, in the compute dtype, dims kept as 1."""
    count = product([e.shape(x)[d] for d in dims])
    total = sum_of(e, x, dims, e.dtype(x))
    kept, wide = e.spec(total), TensorSpec(e.shape(x), e.dtype(total))
    mean = e.pointwise(arith.divf, total, count, out=kept)
    centered = e.pointwise(arith.subf, x, mean, out=wide)
    squares = fold(e, centered, dims, lambda t, v: s.multiply_add(v, v, t), 0, wide.dtype)
    scale = e.pointwise(
        lambda square, n: _inverse_deviation(square, n, eps), squares, count, out=kept
    )
    return centered, scale, mean


def _inverse_deviation(squares, count, eps):
    """1 ÷ √(Σ(x − mean)²/n + eps)"""
    spread = arith.addf(arith.divf(squares, count), s.like(eps, squares))
    return arith.divf(s.like(1, squares), math.sqrt(spread))


@lowers(aten.native_group_norm.default)
def native_group_norm(e: Emitter, x, weight, bias, N, C, HxW, group, eps):  # noqa: N803
    """Normalize each of `group` groups of channels: x [N, C, ...] as [N, group, rest]."""
    out, mean_spec, _ = e.out
    grouped = e.reshape(x, (N, group, _rest(e, x, C, group)))
    centered, scale, mean = _moments(e, grouped, [2], eps)
    wide = e.spec(centered)
    normal = e.pointwise(arith.mulf, centered, scale, out=wide)
    result = e.reshape(normal, e.shape(x))
    channel = (C, *[1] * (e.rank(x) - 2))
    for combine, parameter in ((arith.mulf, weight), (arith.addf, bias)):
        if parameter is not None:
            spec = TensorSpec(e.shape(x), wide.dtype)
            result = e.pointwise(combine, result, e.reshape(parameter, channel), out=spec)
    moments = (e.reshape(e.cast(m, mean_spec.dtype), mean_spec.shape) for m in (mean, scale))
    return e.cast(result, out.dtype), *moments


def _rest(e: Emitter, x, channels, groups):
    return product([channels // groups, *e.shape(x)[2:]])


@lowers(aten._native_batch_norm_legit_no_training.default)
def batch_norm(e: Emitter, x, weight, bias, running_mean, running_var, momentum, eps):
    """x · scale + shift per channel, x [N, C, ...]: scale = rsqrt(var + eps) · weight and
    shift = bias − mean · scale, which depend on parameters alone."""
    vector = TensorSpec(e.shape(running_mean), compute_dtype(e.dtype(x)))

    def scale_of(variance, *weight):
        deviation = math.sqrt(arith.addf(variance, s.like(eps, variance)))
        return arith.divf(*weight or [s.like(1, variance)], deviation)

    def shift_of(scale, mean, *bias):
        shift = arith.mulf(arith.negf(mean), scale)
        return arith.addf(*bias, shift) if bias else shift

    scale = e.pointwise(scale_of, running_var, *_present(weight), out=vector)
    shift = e.pointwise(shift_of, scale, running_mean, *_present(bias), out=vector)
    channel = (e.shape(x)[1], *[1] * (e.rank(x) - 2))
    result = e.pointwise(
        lambda v, scale, shift: arith.addf(arith.mulf(v, scale), shift),
        x,
        e.reshape(scale, channel),
        e.reshape(shift, channel),
        out=e.out[0],
    )
    return result, *(e.empty(spec) for spec in e.out[1:])


def _present(parameter) -> list:
    return [] if parameter is None else [parameter]
