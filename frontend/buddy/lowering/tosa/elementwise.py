# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops as TOSA's own, in the dtype that eager computes in, rounded once."""

from __future__ import annotations

import math as pymath
from collections.abc import Callable

import torch
from mlir.dialects import tosa

from ...types import TensorSpec, compute_dtype, is_float
from ..emitter import Emitter
from . import arithmetic as a
from .builder import NotTosa, cast, emit, ranked, tosa_lowers

aten = torch.ops.aten


def pointwise(e: Emitter, fn: Callable, *operands, dtype: torch.dtype | None = None):
    """fn(e, *operands) of operands in the compute dtype of the result, as the result."""
    if e.out.dtype == torch.bool:
        raise NotTosa("TOSA's arithmetic has no booleans")
    dtype = dtype or compute_dtype(e.out.dtype)
    return cast(e, fn(e, *(ranked(e, x, e.out.rank, dtype) for x in operands)), e.out.dtype)


FLOAT_UNARY = {
    aten.ceil.default: tosa.CeilOp,
    aten.cos.default: tosa.CosOp,
    aten.erf.default: tosa.ErfOp,
    aten.exp.default: tosa.ExpOp,
    aten.floor.default: tosa.FloorOp,
    aten.log.default: tosa.LogOp,
    aten.reciprocal.default: tosa.ReciprocalOp,
    aten.rsqrt.default: tosa.RsqrtOp,
    aten.sigmoid.default: tosa.SigmoidOp,
    aten.sin.default: tosa.SinOp,
    aten.tanh.default: tosa.TanhOp,
}


def _of_floats(e: Emitter, fn: Callable, *operands):
    if not is_float(e.out.dtype):
        raise NotTosa("TOSA has this op for floats only")
    return pointwise(e, fn, *operands)


def _register_unary(op, made) -> None:
    @tosa_lowers(op)
    def unary(e: Emitter, x):
        return _of_floats(e, lambda e, v: a.unary(e, made, v), x)


for _op, _made in FLOAT_UNARY.items():
    _register_unary(_op, _made)


@tosa_lowers(aten.sqrt.default)
def sqrt(e: Emitter, x):
    return _of_floats(e, a.sqrt, x)


@tosa_lowers(aten.abs.default)
def absolute(e: Emitter, x):
    return pointwise(e, lambda e, v: a.unary(e, tosa.AbsOp, v), x)


@tosa_lowers(aten.neg.default)
def neg(e: Emitter, x):
    return pointwise(e, a.negate, x)


@tosa_lowers(aten.relu.default)
def relu(e: Emitter, x):
    return pointwise(e, lambda e, v: a.maximum(e, v, 0), x)


@tosa_lowers(aten.silu.default)
def silu(e: Emitter, x):
    """x · sigmoid(x)"""
    return _of_floats(e, lambda e, v: a.mul(e, v, a.unary(e, tosa.SigmoidOp, v)), x)


@tosa_lowers(aten.gelu.default)
def gelu(e: Emitter, x, *, approximate="none"):
    return _of_floats(e, _gelu_tanh if approximate == "tanh" else _gelu_erf, x)


def _gelu_erf(e: Emitter, x):
    """x/2 · (1 + erf(x/√2))"""
    inner = a.unary(e, tosa.ErfOp, a.mul(e, x, pymath.sqrt(0.5)))
    return a.mul(e, a.mul(e, x, 0.5), a.add(e, inner, 1))


def _gelu_tanh(e: Emitter, x):
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))"""
    cube = a.mul(e, a.mul(e, x, x), x)
    inner = a.add(e, x, a.mul(e, cube, 0.044715))
    inner = a.unary(e, tosa.TanhOp, a.mul(e, inner, pymath.sqrt(2 / pymath.pi)))
    return a.mul(e, a.mul(e, x, 0.5), a.add(e, inner, 1))


@tosa_lowers(aten.logical_not.default, aten.bitwise_not.default)
def logical_not(e: Emitter, x):
    op = tosa.LogicalNotOp if e.dtype(x) == torch.bool else tosa.BitwiseNotOp
    if e.dtype(x) != e.out.dtype:
        raise NotTosa("the logical negation of numbers")
    return emit(e, op, e.out, x)


BINARY = {
    aten.maximum.default: a.maximum,
    aten.minimum.default: a.minimum,
    aten.mul.Tensor: a.mul,
    aten.mul.Scalar: a.mul,
}


def _register_binary(op, made) -> None:
    @tosa_lowers(op)
    def two(e: Emitter, x, y):
        return pointwise(e, made, x, y)


for _op, _made in BINARY.items():
    _register_binary(_op, _made)


@tosa_lowers(aten.div.Tensor, aten.div.Scalar)
def div(e: Emitter, x, y):
    if isinstance(y, (int, float)) and y != 0:
        return pointwise(e, lambda e, v: a.div(e, v, y), x)
    return pointwise(e, a.div, x, y)


@tosa_lowers(aten.pow.Tensor_Tensor)
def power(e: Emitter, x, y):
    return _of_floats(e, a.power, x, y)


SHORT_POWERS = {
    1: lambda e, v: v,
    2: lambda e, v: a.mul(e, v, v),
    3: lambda e, v: a.mul(e, a.mul(e, v, v), v),
    0.5: a.sqrt,
    -0.5: a.rsqrt,
    -1: a.reciprocal,
}


@tosa_lowers(aten.pow.Tensor_Scalar)
def power_scalar(e: Emitter, x, exponent):
    """Small whole powers and square roots have exact short forms."""
    if exponent in (1, 2, 3):
        return pointwise(e, SHORT_POWERS[exponent], x)
    if exponent in SHORT_POWERS:
        return _of_floats(e, SHORT_POWERS[exponent], x)
    return _of_floats(e, a.power, x, exponent)


def _scaled(e: Emitter, x, factor):
    return x if factor == 1 else a.mul(e, x, factor)


SCALED = {
    "add": lambda e, x, y, alpha: a.add(e, x, _scaled(e, y, alpha)),
    "sub": lambda e, x, y, alpha: a.sub(e, x, _scaled(e, y, alpha)),
    "rsub": lambda e, x, y, alpha: a.sub(e, y, _scaled(e, x, alpha)),
}


def _register_scaled(fn, of_tensors, of_numbers) -> None:
    @tosa_lowers(of_tensors)
    def with_tensor(e: Emitter, x, y, *, alpha=1):
        return pointwise(e, lambda e, v, w: fn(e, v, w, alpha), x, y)

    @tosa_lowers(of_numbers)
    def with_number(e: Emitter, x, y, alpha=1):
        return pointwise(e, lambda e, v, w: fn(e, v, w, alpha), x, y)


for _name, _fn in SCALED.items():
    _register_scaled(_fn, getattr(aten, _name).Tensor, getattr(aten, _name).Scalar)


def _compared(e: Emitter, fn: Callable, x, y):
    dtype = e.promote(x, y)
    if dtype == torch.bool:
        return _compared_truth(e, fn, x, y)
    return fn(e, *(ranked(e, v, e.out.rank, dtype) for v in (x, y)))


def _compared_truth(e: Emitter, fn: Callable, x, y):
    """Of booleans: as numbers, for i1 is signed."""
    return fn(e, *(ranked(e, v, e.out.rank, torch.int32) for v in (x, y)))


def not_equal(e: Emitter, x, y):
    return a.unary(e, tosa.LogicalNotOp, a.equal(e, x, y))


COMPARE = {
    "eq": a.equal,
    "ne": not_equal,
    "gt": a.greater,
    "ge": a.greater_equal,
    "lt": lambda e, x, y: a.greater(e, y, x),
    "le": lambda e, x, y: a.greater_equal(e, y, x),
}


def _register_compare(op, made) -> None:
    @tosa_lowers(op)
    def two(e: Emitter, x, y):
        return _compared(e, made, x, y)


for _name, _made in COMPARE.items():
    for _op in (getattr(aten, _name).Tensor, getattr(aten, _name).Scalar):
        _register_compare(_op, _made)

LOGICAL = {
    "and": (tosa.LogicalAndOp, tosa.BitwiseAndOp),
    "or": (tosa.LogicalOrOp, tosa.BitwiseOrOp),
    "xor": (tosa.LogicalXorOp, tosa.BitwiseXorOp),
}


def _bits(e: Emitter, made, x, y, dtype):
    x, y = (ranked(e, v, e.out.rank, dtype) for v in (x, y))
    return emit(e, made, TensorSpec(e.out.shape, dtype), x, y)


def _register_logical(name, of_truth, of_bits) -> None:
    @tosa_lowers(getattr(aten, f"logical_{name}").default)
    def logical(e: Emitter, x, y):
        return _bits(e, of_truth, x, y, torch.bool)

    @tosa_lowers(getattr(aten, f"bitwise_{name}").Tensor)
    def bitwise(e: Emitter, x, y):
        return _bits(e, of_truth if e.out.dtype == torch.bool else of_bits, x, y, e.out.dtype)


for _name, _made in LOGICAL.items():
    _register_logical(_name, *_made)


@tosa_lowers(aten.where.self)
def where(e: Emitter, condition, x, y):
    if e.dtype(condition) != torch.bool:
        raise NotTosa("a condition that is no truth value")
    return a.select(e, condition, *(ranked(e, v, e.out.rank, e.out.dtype) for v in (x, y)))


@tosa_lowers(aten.threshold_backward.default)
def threshold_backward(e: Emitter, gradient, x, threshold):
    """0 where x is at most the threshold: a NaN is not."""
    return pointwise(
        e, lambda e, g, v: a.select(e, a.greater_equal(e, threshold, v), 0, g), gradient, x
    )


@tosa_lowers(aten.clamp.default)
def clamp(e: Emitter, x, low=None, high=None):
    """maximum, then minimum: tosa.clamp wants both bounds, and in the element's own type."""

    def between(e: Emitter, v):
        v = v if low is None else a.maximum(e, v, low)
        return v if high is None else a.minimum(e, v, high)

    return pointwise(e, between, x)
