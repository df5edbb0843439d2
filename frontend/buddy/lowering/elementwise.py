# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops: most are a row, their scalar function is all there is to know."""

from __future__ import annotations

import math as pymath

import torch
from mlir.dialects import arith, math

from ..types import compute_dtype, is_float
from . import scalar as s
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten


def register_pointwise(fn, *overloads) -> None:
    """Rows of the tables below: `fn` on the elements of all tensor arguments."""
    for op in overloads:
        if len(op._schema.arguments) == 1:
            lowers(op)(lambda e, x: e.pointwise(fn, x))
        else:
            lowers(op)(lambda e, x, y: e.pointwise(fn, x, y))


def _sigmoid(x):
    return arith.divf(s.like(1, x), arith.addf(s.like(1, x), math.exp(arith.negf(x))))


UNARY = {
    aten.abs.default: s.absolute,
    aten.acos.default: math.acos,
    aten.acosh.default: math.acosh,
    aten.asin.default: math.asin,
    aten.asinh.default: math.asinh,
    aten.atan.default: math.atan,
    aten.atanh.default: math.atanh,
    aten.bitwise_not.default: lambda x: arith.xori(x, s.like(1 if s.is_bool_value(x) else -1, x)),
    aten.ceil.default: lambda x: math.ceil(x) if s.is_float_value(x) else x,
    aten.cos.default: math.cos,
    aten.cosh.default: math.cosh,
    aten.erf.default: math.erf,
    aten.exp.default: math.exp,
    aten.exp2.default: math.exp2,
    aten.expm1.default: math.expm1,
    aten.floor.default: lambda x: math.floor(x) if s.is_float_value(x) else x,
    aten.log.default: math.log,
    aten.log10.default: math.log10,
    aten.log1p.default: math.log1p,
    aten.log2.default: math.log2,
    aten.logical_not.default: s.logical_not,
    aten.neg.default: s.neg,
    aten.reciprocal.default: lambda x: arith.divf(s.like(1, x), x),
    aten.relu.default: lambda x: s.at_least(x, s.like(0, x)),
    aten.round.default: lambda x: math.roundeven(x) if s.is_float_value(x) else x,
    aten.rsqrt.default: lambda x: arith.divf(s.like(1, x), math.sqrt(x)),
    aten.sigmoid.default: _sigmoid,
    aten.sign.default: s.sign,
    aten.silu.default: lambda x: arith.mulf(x, _sigmoid(x)),
    aten.sin.default: math.sin,
    aten.sinh.default: math.sinh,
    aten.sqrt.default: math.sqrt,
    aten.tan.default: math.tan,
    aten.tanh.default: math.tanh,
    aten.trunc.default: s.truncate,
}
for _op, _fn in UNARY.items():
    register_pointwise(_fn, _op)


def _is_infinite(x):
    if not s.is_float_value(x):
        return s.compare("ne", x, x)
    return s.compare("eq", math.absf(x), s.like(pymath.inf, x))


register_pointwise(_is_infinite, aten.isinf.default)
register_pointwise(
    lambda x: s.is_nan(x) if s.is_float_value(x) else s.compare("ne", x, x), aten.isnan.default
)


def _atan2(y, x):
    """Of two zeros it is the answer for x = ±1: MLIR folds such constants to NaN."""
    zero = s.like(0, x)
    zeros = arith.andi(s.compare("eq", x, zero), s.compare("eq", y, zero))
    return math.atan2(y, s.select(zeros, math.copysign(s.like(1, x), x), x))


def _pow(x, y):
    return math.powf(x, y) if s.is_float_value(x) else s.int_pow(x, y)


BINARY = {
    (aten.atan2.default,): _atan2,
    (aten.bitwise_and.Tensor, aten.bitwise_and.Scalar): arith.andi,
    (aten.bitwise_or.Tensor, aten.bitwise_or.Scalar): arith.ori,
    (aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar): arith.xori,
    (aten.bitwise_left_shift.Tensor, aten.__lshift__.Tensor, aten.__lshift__.Scalar): s.shift_left,
    (
        aten.bitwise_right_shift.Tensor,
        aten.__rshift__.Tensor,
        aten.__rshift__.Scalar,
    ): s.shift_right,
    (aten.div.Tensor, aten.div.Scalar, aten.true_divide.Tensor): arith.divf,
    (aten.fmod.Tensor, aten.fmod.Scalar): s.fmod,
    (aten.maximum.default,): s.maximum,
    (aten.minimum.default,): s.minimum,
    (aten.mul.Tensor, aten.mul.Scalar): s.mul,
    (aten.pow.Tensor_Tensor,): _pow,
    (aten.remainder.Tensor, aten.remainder.Scalar): s.remainder,
    (aten.floor_divide.default,): s.floor_div,
}
for _ops, _fn in BINARY.items():
    register_pointwise(_fn, *_ops)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _packet = getattr(aten, _name)
    register_pointwise(
        lambda x, y, predicate=_name: s.compare(predicate, x, y), _packet.Tensor, _packet.Scalar
    )

LOGICAL = {
    aten.logical_and.default: arith.andi,
    aten.logical_or.default: arith.ori,
    aten.logical_xor.default: arith.xori,
}
for _op, _fn in LOGICAL.items():
    register_pointwise(lambda x, y, fn=_fn: fn(s.is_true(x), s.is_true(y)), _op)


# `alpha` scales the second operand; it is a keyword of .Tensor and positional in .Scalar.
SCALED = {
    (aten.add.Tensor, aten.add.Scalar): lambda a, b, alpha: s.add(a, _scaled(b, alpha)),
    (aten.sub.Tensor, aten.sub.Scalar): lambda a, b, alpha: s.sub(a, _scaled(b, alpha)),
    (aten.rsub.Tensor, aten.rsub.Scalar): lambda a, b, alpha: s.sub(b, _scaled(a, alpha)),
}


def _register_scaled(fn, tensor_op, scalar_op) -> None:
    @lowers(tensor_op)
    def with_tensor(e: Emitter, x, y, *, alpha=1):
        return e.pointwise(lambda a, b: fn(a, b, alpha), x, y)

    @lowers(scalar_op)
    def with_scalar(e: Emitter, x, y, alpha=1):
        return e.pointwise(lambda a, b: fn(a, b, alpha), x, y)


for _ops, _fn in SCALED.items():
    _register_scaled(_fn, *_ops)


def _scaled(x, factor):
    return x if factor == 1 else s.mul(x, s.like(factor, x))


@lowers(aten.div.Tensor_mode, aten.div.Scalar_mode)
def div_mode(e: Emitter, x, y, *, rounding_mode):
    def truncated(x, y):
        """Of what eager stores: a quotient just below a whole number may round up to it."""
        if not s.is_float_value(x):
            return s.int_div(x, y)
        dtype, computed = e.out.dtype, compute_dtype(e.out.dtype)
        return s.truncate(s.cast(s.cast(arith.divf(x, y), computed, dtype), dtype, computed))

    modes = {None: arith.divf, "trunc": truncated, "floor": s.floor_div}
    return e.pointwise(modes[rounding_mode], x, y)


@lowers(aten.pow.Tensor_Scalar)
def pow_scalar(e: Emitter, x, exponent):
    """Small whole powers and square roots have exact short forms; eager uses them too."""
    short = {
        0: lambda v: s.like(1, v),
        0.5: math.sqrt,
        1: lambda v: v,
        2: lambda v: s.mul(v, v),
        3: lambda v: s.mul(s.mul(v, v), v),
        -1: lambda v: arith.divf(s.like(1, v), v),
        -0.5: lambda v: arith.divf(s.like(1, v), math.sqrt(v)),
    }
    if exponent in short and (is_float(e.out.dtype) or exponent in (0, 1, 2, 3)):
        return e.pointwise(short[exponent], x)
    return e.pointwise(_pow, x, exponent)


@lowers(aten.pow.Scalar)
def pow_of_scalar(e: Emitter, base, exponent):
    return e.pointwise(_pow, base, exponent)


@lowers(aten.where.self)
def where(e: Emitter, condition, x, y):
    return e.pointwise(lambda c, a, b: s.select(s.is_true(c), a, b), condition, x, y, keep=(0,))


@lowers(aten.masked_fill.Scalar)
def masked_fill_scalar(e: Emitter, x, mask, value):
    return where(e, mask, value, x)


@lowers(aten.masked_fill.Tensor)
def masked_fill_tensor(e: Emitter, x, mask, value):
    return where(e, mask, value, x)


@lowers(aten.clamp.default)
def clamp(e: Emitter, x, low=None, high=None):
    return _clamp(e, x, low, high)


@lowers(aten.clamp.Tensor)
def clamp_tensor(e: Emitter, x, low=None, high=None):
    return _clamp(e, x, low, high)


@lowers(aten.clamp_min.default)
def clamp_min(e: Emitter, x, low):
    return _clamp(e, x, low, None)


@lowers(aten.clamp_max.default)
def clamp_max(e: Emitter, x, high):
    return _clamp(e, x, None, high)


@lowers(aten.hardtanh.default)
def hardtanh(e: Emitter, x, low=-1, high=1):
    return _clamp(e, x, low, high)


def _clamp(e: Emitter, x, low, high):
    """min(max(x, low), high): a NaN in x stays, and so does a zero's sign."""
    given = [(number, tensor_fn, scalar_fn)
             for number, tensor_fn, scalar_fn in ((low, s.maximum, s.at_least),
                                                  (high, s.minimum, s.at_most))
             if number is not None]  # fmt: skip

    def body(v, *limits):
        for (number, of_tensor, of_scalar), limit in zip(given, limits):
            plain = isinstance(number, (int, float)) and number == number
            v = (of_scalar if plain else of_tensor)(v, limit)
        return v

    return e.pointwise(body, x, *(number for number, _, _ in given))


@lowers(aten.gelu.default)
def gelu(e: Emitter, x, *, approximate="none"):
    return e.pointwise(_gelu_tanh if approximate == "tanh" else _gelu_erf, x)


def _gelu_erf(x):
    """x/2 · (1 + erf(x/√2))"""
    inner = math.erf(arith.mulf(x, s.like(pymath.sqrt(0.5), x)))
    return arith.mulf(arith.mulf(x, s.like(0.5, x)), arith.addf(s.like(1, x), inner))


def _gelu_tanh(x):
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))"""
    cube = arith.mulf(arith.mulf(x, x), x)
    inner = arith.addf(x, arith.mulf(s.like(0.044715, x), cube))
    inner = math.tanh(arith.mulf(s.like(pymath.sqrt(2 / pymath.pi), x), inner))
    return arith.mulf(arith.mulf(x, s.like(0.5, x)), arith.addf(s.like(1, x), inner))


@lowers(aten.leaky_relu.default)
def leaky_relu(e: Emitter, x, slope=0.01):
    def body(v):
        negative = s.mul(v, s.like(slope, v))
        return s.select(s.compare("gt", v, s.like(0, v)), v, negative)

    return e.pointwise(body, x)


@lowers(aten.elu.default)
def elu(e: Emitter, x, alpha=1, scale=1, input_scale=1):
    def body(v):
        negative = s.mul(math.expm1(s.mul(v, s.like(input_scale, v))), s.like(alpha, v))
        positive = s.compare("gt", v, s.like(0, v))
        return s.mul(s.select(positive, v, negative), s.like(scale, v))

    return e.pointwise(body, x)


@lowers(aten.threshold_backward.default)
def threshold_backward(e: Emitter, gradient, x, threshold):
    def body(g, v):
        return s.select(s.compare("le", v, s.like(threshold, v)), s.like(0, g), g)

    return e.pointwise(body, gradient, x)


@lowers(aten.addcmul.default)
def addcmul(e: Emitter, x, first, second, *, value=1):
    return e.pointwise(lambda a, b, c: s.add(a, s.mul(_scaled(b, value), c)), x, first, second)


@lowers(aten.addcdiv.default)
def addcdiv(e: Emitter, x, first, second, *, value=1):
    return e.pointwise(
        lambda a, b, c: arith.addf(a, arith.divf(_scaled(b, value), c)), x, first, second
    )


@lowers(aten.lerp.Scalar)
def lerp(e: Emitter, start, end, weight):
    return e.pointwise(
        lambda a, b: arith.addf(a, arith.mulf(s.like(weight, a), arith.subf(b, a))), start, end
    )
