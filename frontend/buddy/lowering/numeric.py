# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops on how a number is written, and on whole numbers: frexp, nextafter, gcd."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith, math, scf

from ..types import TensorSpec, compute_dtype
from . import scalar as s
from .elementwise import register_pointwise
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten


def bits_of(x: ir.Value) -> ir.Value:
    """A float's bits as a signed integer of the same width."""
    return arith.bitcast(ir.IntegerType.get_signless(x.type.width), x)


def float_of(bits: ir.Value, kind: ir.Type) -> ir.Value:
    return arith.bitcast(kind, bits)


@lowers(aten.signbit.default)
def signbit(e: Emitter, x):
    if e.dtype(x) == torch.bool:
        return e.full(e.out, False)

    def body(v):
        v = bits_of(v) if s.is_float_value(v) else v
        return s.compare("lt", v, s.like(0, v))

    return e.pointwise(body, x)


def _larger(x, y):
    return _unless_nan("ge", x, y) if s.is_float_value(x) else s.maximum(x, y)


def _smaller(x, y):
    return _unless_nan("le", x, y) if s.is_float_value(x) else s.minimum(x, y)


def _unless_nan(predicate: str, x, y):
    """x where the predicate holds, or y is NaN; else y. Of zeros it is the first one, as in C."""
    return s.select(arith.ori(s.compare(predicate, x, y), s.is_nan(y)), x, y)


def _copysign(x, y):
    """In bits: LLVM would narrow an f64 y at once to the f16 of a result, which no CPU can do."""
    size, sign = bits_of(x), bits_of(y)
    top = s.like(-(2 ** (x.type.width - 1)), sign)
    kept = arith.andi(size, arith.xori(top, s.like(-1, top)))
    return float_of(arith.ori(kept, arith.andi(sign, top)), x.type)


register_pointwise(_larger, aten.fmax.default)
register_pointwise(_smaller, aten.fmin.default)
register_pointwise(_copysign, aten.copysign.Tensor)


@lowers(aten.angle.default)
def angle(e: Emitter, x):
    """0 or π for numbers; NaN stays."""

    def body(v):
        negative = s.compare("lt", v, s.like(0, v))
        value = s.select(negative, s.like(pymath.pi, v), s.like(0, v))
        return s.select(s.is_nan(v), v, value)

    return e.pointwise(body, x)


@lowers(aten.hypot.default)
def hypot(e: Emitter, x, y):
    """√(x² + y²) with the larger one outside of the root, where it cannot overflow."""

    def body(a, b):
        a, b = math.absf(a), math.absf(b)
        large, small = arith.maximumf(a, b), arith.minimumf(a, b)
        ratio = arith.divf(small, large)
        root = math.sqrt(arith.addf(s.like(1, a), arith.mulf(ratio, ratio)))
        value = s.select(s.compare("eq", small, s.like(0, a)), large, arith.mulf(large, root))
        # Even where the other one is NaN.
        infinite = arith.ori(_is_infinite(a), _is_infinite(b))
        return s.select(infinite, s.like(pymath.inf, a), value)

    return e.pointwise(body, x, y)


def _is_infinite(x):
    return s.compare("eq", math.absf(x), s.like(pymath.inf, x))


@lowers(aten.round.decimals)
def round_decimals(e: Emitter, x, *, decimals):
    factor = 10.0 ** abs(decimals)

    def body(v):
        scale = s.like(factor, v)
        if decimals < 0:
            return arith.mulf(math.roundeven(arith.divf(v, scale)), scale)
        return arith.divf(math.roundeven(arith.mulf(v, scale)), scale)

    return e.pointwise(body, x)


@lowers(aten.nextafter.default)
def nextafter(e: Emitter, x, y):
    """The neighbour of x towards y: its bits, counted up or down."""
    dtype = e.out.dtype

    def body(a, b):
        bits, zero = bits_of(a), s.like(0, a)
        away = s.compare("lt", a, b)
        grows = arith.xori(away, s.compare("lt", a, zero))
        step = s.select(grows, s.like(1, bits), s.like(-1, bits))
        moved = float_of(arith.addi(bits, step), a.type)
        least = math.copysign(float_of(s.like(1, bits), a.type), b)
        result = s.select(s.compare("eq", a, zero), least, moved)
        result = s.select(s.compare("eq", a, b), b, result)
        unordered = arith.ori(s.is_nan(a), s.is_nan(b))
        return s.select(unordered, arith.addf(a, b), result)

    return e.map(body, [e.convert(x, e.out), e.convert(y, e.out)], e.out.with_dtype(dtype))


_FRACTION_BITS = {16: 10, 32: 23, 64: 52}


@lowers(aten.frexp.Tensor)
def frexp(e: Emitter, x):
    """x = mantissa · 2^exponent with ½ ≤ |mantissa| < 1; 0, ∞ and NaN have exponent 0."""
    mantissas, exponents = e.out
    wide = compute_dtype(mantissas.dtype)

    def split(v):
        width = v.type.width
        fraction = _FRACTION_BITS[width]
        top = (1 << (width - 1 - fraction)) - 1
        scale = fraction + 1
        plain = bits_of(v)
        mask = s.like(top << fraction, plain)
        tiny = s.compare("eq", arith.andi(plain, mask), s.like(0, plain))
        grown = arith.mulf(v, s.like(2.0**scale, v))
        bits = s.select(tiny, bits_of(grown), plain)
        field = arith.shrui(arith.andi(bits, mask), s.like(fraction, bits))
        bias = s.select(tiny, s.like(top // 2 - 1 + scale, bits), s.like(top // 2 - 1, bits))
        special = arith.ori(s.compare("eq", v, s.like(0, v)),
                            s.compare("eq", field, s.like(top, field)))  # fmt: skip
        half = arith.ori(arith.andi(bits, s.like(~(top << fraction), bits)),
                         s.like((top // 2 - 1) << fraction, bits))  # fmt: skip
        mantissa = s.select(special, v, float_of(half, v.type))
        return mantissa, s.select(special, s.like(0, bits), arith.subi(field, bias))

    integer = {torch.float32: torch.int32, torch.float64: torch.int64}[wide]
    widened = e.cast(x, wide)
    mantissa = e.map(lambda v: split(v)[0], [widened], TensorSpec(e.shape(x), wide))
    exponent = e.map(lambda v: s.cast(split(v)[1], integer, exponents.dtype), [widened], exponents)
    return e.cast(mantissa, mantissas.dtype), exponent


def _gcd(a: ir.Value, b: ir.Value) -> ir.Value:
    """Euclid's algorithm on magnitudes."""
    kind = a.type
    loop = scf.WhileOp([kind, kind], [s.absolute(a), s.absolute(b)])
    before = loop.regions[0].blocks.append(kind, kind)
    with ir.InsertionPoint(before):
        rest = before.arguments[1]
        scf.ConditionOp(s.compare("ne", rest, s.like(0, rest)), before.arguments)
    after = loop.regions[1].blocks.append(kind, kind)
    with ir.InsertionPoint(after):
        x, y = after.arguments
        scf.YieldOp([y, s.int_rem(x, y)])
    return loop.results[0]


def _lcm(a: ir.Value, b: ir.Value) -> ir.Value:
    common = _gcd(a, b)
    one = s.like(1, common)
    divisor = s.select(s.compare("eq", common, s.like(0, common)), one, common)
    return s.absolute(arith.muli(s.int_div(a, divisor), b))


register_pointwise(_gcd, aten.gcd.default)
register_pointwise(_lcm, aten.lcm.default)
