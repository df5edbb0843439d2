# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special functions of mathematics, from their series and recurrences, computed in f64.

A model that uses one spends no time in it; f64 makes a short series as good as f32 can tell.
"""

from __future__ import annotations

import math as pymath
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from mlir import ir
from mlir.dialects import arith, math, scf

from . import scalar as s
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten
F64 = torch.float64


def register_special(fn: Callable, *overloads) -> None:
    """`fn` on f64 elements of all arguments, whatever the result's dtype."""
    for op in overloads:
        if len(op._schema.arguments) == 1:
            lowers(op)(lambda e, x: e.pointwise(fn, x, dtype=F64))
        else:
            lowers(op)(lambda e, x, y: e.pointwise(fn, x, y, dtype=F64))


def number(value: float) -> ir.Value:
    return s.constant(value, ir.F64Type.get())


def polynomial(x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """Σ cᵢ xⁱ, the constant term first."""
    result = number(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = math.fma(result, x, number(c))
    return result


def _compare(predicate: str, x: ir.Value, value: float) -> ir.Value:
    return s.compare(predicate, x, number(value))


def _bernoulli(count: int) -> list[Fraction]:
    """B₂, B₄, … (`count` of them), by Σ C(n+1, k) B_k = 0."""
    numbers = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        total = sum(pymath.comb(n + 1, k) * numbers[k] for k in range(n))
        numbers.append(-total / (n + 1))
    return numbers[2::2]


BERNOULLI = _bernoulli(10)
SHIFT = 10  # asymptotic series begin here


def _is_whole(x: ir.Value) -> ir.Value:
    return s.compare("eq", x, math.floor(x))


def _lgamma(x):
    """log |Γ(x)|: Stirling's series beyond SHIFT, the recurrence below, reflection below ½."""
    reflected = _compare("lt", x, 0.5)
    y = s.select(reflected, arith.subf(number(1), x), x)
    product, z = number(1), y
    for _ in range(SHIFT):
        small = _compare("lt", z, SHIFT)
        product = s.select(small, arith.mulf(product, z), product)
        z = s.select(small, arith.addf(z, number(1)), z)
    inverse = arith.divf(number(1), z)
    terms = [float(b / (2 * k * (2 * k - 1))) for k, b in enumerate(BERNOULLI, 1)]
    tail = arith.mulf(inverse, polynomial(arith.mulf(inverse, inverse), terms))
    stirling = arith.mulf(arith.subf(z, number(0.5)), math.log(z))
    stirling = arith.addf(arith.subf(stirling, z), number(0.5 * pymath.log(2 * pymath.pi)))
    value = arith.subf(arith.addf(stirling, tail), math.log(product))
    sine = math.absf(_sin_pi(x))
    mirror = arith.subf(arith.subf(number(pymath.log(pymath.pi)), math.log(sine)), value)
    result = s.select(reflected, mirror, value)
    pole = arith.andi(_compare("le", x, 0), _is_whole(x))
    infinite = arith.ori(pole, _compare("eq", math.absf(x), pymath.inf))
    return s.select(infinite, number(pymath.inf), result)


def _sin_pi(x):
    """sin(πx) with x reduced first, where πx would lose the fraction."""
    rest = arith.subf(x, arith.mulf(number(2), math.roundeven(arith.mulf(x, number(0.5)))))
    return math.sin(arith.mulf(number(pymath.pi), rest))


def _digamma(x):
    """ψ(x): the recurrence up to SHIFT, then the asymptotic series; reflection below 0."""
    negative = _compare("lt", x, 0)
    y = s.select(negative, arith.subf(number(1), x), x)
    total, z = number(0), y
    for _ in range(SHIFT):
        small = _compare("lt", z, SHIFT)
        total = s.select(small, arith.subf(total, arith.divf(number(1), z)), total)
        z = s.select(small, arith.addf(z, number(1)), z)
    inverse = arith.divf(number(1), z)
    square = arith.mulf(inverse, inverse)
    terms = [float(-b / (2 * k)) for k, b in enumerate(BERNOULLI, 1)]
    tail = arith.mulf(square, polynomial(square, terms))
    value = arith.subf(math.log(z), arith.mulf(number(0.5), inverse))
    value = arith.addf(arith.addf(value, tail), total)
    rest = arith.subf(x, math.roundeven(x))
    tangent = math.tan(arith.mulf(number(pymath.pi), rest))
    mirror = arith.subf(value, arith.divf(number(pymath.pi), tangent))
    result = s.select(negative, mirror, value)
    result = s.select(arith.andi(negative, _is_whole(x)), number(pymath.nan), result)
    at_zero = math.copysign(number(pymath.inf), arith.negf(x))
    return s.select(_compare("eq", x, 0), at_zero, result)


def _zeta(order, x):
    """Hurwitz' ζ(order, x) = Σ (x+k)^-order: SHIFT terms, then Euler and Maclaurin's rest."""
    exponent = arith.negf(order)
    # As many terms as bring x beyond SHIFT; enough of them for any x that f32 tells from x + 1.
    distance = math.ceil(arith.subf(number(SHIFT), x))
    distance = arith.minimumf(arith.maximumf(distance, number(0)), number(1 << 24))
    whole = arith.fptosi(ir.IntegerType.get_signless(64), distance)
    zero, one = (arith.constant(ir.IndexType.get(), i) for i in (0, 1))
    loop = scf.ForOp(zero, arith.index_cast(ir.IndexType.get(), whole), one, [number(0), x])
    with ir.InsertionPoint(loop.body):
        total, z = loop.inner_iter_args
        total = arith.addf(total, math.powf(z, exponent))
        scf.YieldOp([total, arith.addf(z, number(1))])
    total, z = loop.results
    power = math.powf(z, exponent)
    total = arith.addf(total, arith.divf(arith.mulf(z, power), arith.subf(order, number(1))))
    total = arith.addf(total, arith.mulf(number(0.5), power))
    factor, inverse = arith.mulf(order, arith.divf(power, z)), arith.divf(number(1), z)
    square = arith.mulf(inverse, inverse)
    for k, b in enumerate(BERNOULLI, 1):
        term = arith.mulf(number(float(b / pymath.factorial(2 * k))), factor)
        total = arith.addf(total, term)
        for step in (2 * k - 1, 2 * k):
            factor = arith.mulf(factor, arith.addf(order, number(step)))
        factor = arith.mulf(factor, square)
    total = s.select(_compare("eq", x, pymath.inf), number(0), total)
    below = _compare("le", x, 0)
    pole = arith.andi(below, _is_whole(x))
    undefined = arith.andi(below, s.logical_not(_is_whole(order)))
    total = s.select(undefined, number(pymath.nan), total)
    total = s.select(pole, number(pymath.inf), total)
    total = s.select(_compare("lt", order, 1), number(pymath.nan), total)
    return s.select(_compare("eq", order, 1), number(pymath.inf), total)


def _trigamma(x):
    """ψ′(x) = ζ(2, x), with reflection below ½."""
    reflected = _compare("lt", x, 0.5)
    value = _zeta(number(2), s.select(reflected, arith.subf(number(1), x), x))
    ratio = arith.divf(number(pymath.pi), _sin_pi(x))
    mirror = arith.subf(arith.mulf(ratio, ratio), value)
    return s.select(reflected, mirror, value)


register_special(_lgamma, aten.lgamma.default)
register_special(_digamma, aten.digamma.default)
register_special(_zeta, aten.special_zeta.default)


@lowers(aten.polygamma.default)
def polygamma(e: Emitter, order, x):
    """The derivatives of digamma: (-1)ⁿ⁺¹ n! ζ(n+1, x)."""
    if order < 2:
        return e.pointwise((_digamma, _trigamma)[order], x, dtype=F64)
    factor = (-1.0) ** (order + 1) * pymath.factorial(order)

    def body(v):
        return arith.mulf(number(factor), _zeta(number(order + 1), v))

    return e.pointwise(body, x, dtype=F64)


def _erfinv(y):
    """Newton's method on erf, and on erfc where erf is close to 1."""
    size = math.absf(y)
    log = math.log(arith.mulf(arith.subf(number(1), size), arith.addf(number(1), size)))
    # Winitzki's formula: good to 2e-3, which three steps of third order make exact.
    half = arith.addf(number(2 / (pymath.pi * 0.147)), arith.mulf(number(0.5), log))
    root = math.sqrt(arith.subf(arith.mulf(half, half), arith.divf(log, number(0.147))))
    x = math.sqrt(arith.subf(root, half))
    for _ in range(3):
        near = arith.subf(math.erf(x), size)
        far = arith.subf(arith.subf(number(1), size), math.erfc(x))
        error = s.select(_compare("lt", size, 0.5), near, far)
        slope = arith.mulf(number(2 / pymath.sqrt(pymath.pi)),
                           math.exp(arith.negf(arith.mulf(x, x))))  # fmt: skip
        step = arith.divf(error, slope)
        x = arith.subf(x, arith.divf(step, arith.addf(number(1), arith.mulf(x, step))))
    x = s.select(
        _compare("lt", size, 1e-8), arith.mulf(size, number(pymath.sqrt(pymath.pi) / 2)), x
    )
    x = s.select(_compare("eq", size, 1), number(pymath.inf), x)
    x = s.select(_compare("gt", size, 1), number(pymath.nan), x)
    return math.copysign(x, y)


def _ndtri(p):
    """The quantile of the normal distribution: √2 · erfinv(2p − 1), by its tail where small."""
    upper = _compare("gt", p, 0.5)
    tail = s.select(upper, arith.subf(number(1), p), p)
    x = _tail_quantile(tail)
    x = s.select(upper, x, arith.negf(x))
    x = s.select(_compare("eq", p, 0), number(-pymath.inf), x)
    x = s.select(_compare("eq", p, 1), number(pymath.inf), x)
    outside = arith.ori(_compare("lt", p, 0), _compare("gt", p, 1))
    return s.select(outside, number(pymath.nan), x)


def _tail_quantile(tail):
    """x with ½ erfc(x/√2) = tail ≤ ½, by Newton's method on the logarithm, which is concave."""
    t = math.sqrt(arith.mulf(number(-2), math.log(tail)))
    x = s.select(_compare("lt", t, 1.8), arith.subf(arith.mulf(number(1.9), t), number(2.2)), t)
    x = s.select(_compare("lt", t, 1.8), arith.maximumf(x, number(0)), x)
    for _ in range(8):
        under = arith.mulf(number(0.5), math.erfc(arith.mulf(x, number(pymath.sqrt(0.5)))))
        density = arith.mulf(number(1 / pymath.sqrt(2 * pymath.pi)),
                             math.exp(arith.mulf(number(-0.5), arith.mulf(x, x))))  # fmt: skip
        error = arith.subf(math.log(under), math.log(tail))
        x = arith.addf(x, arith.mulf(error, arith.divf(under, density)))
    return x


def _erfcx(x):
    """exp(x²) erfc(x): the product below 8, the continued fraction beyond."""
    plain = arith.mulf(math.exp(arith.mulf(x, x)), math.erfc(x))
    tail = x
    for k in range(24, 0, -1):
        tail = arith.addf(x, arith.divf(number(k / 2), tail))
    far = arith.divf(number(1 / pymath.sqrt(pymath.pi)), tail)
    return s.select(_compare("lt", x, 8), plain, far)


register_special(_erfinv, aten.erfinv.default)
register_special(_ndtri, aten.special_ndtri.default)
register_special(_erfcx, aten.special_erfcx.default)
register_special(math.erfc, aten.erfc.default)


def _recurrence(first: Callable, second: Callable, step: Callable, shift: bool):
    """Pₙ(x) by a recurrence of three terms: P₀, P₁ and step(k, x, Pₖ, Pₖ₋₁) = Pₖ₊₁.

    n < 0 gives 0. A shifted polynomial is one of 2x − 1.
    """

    def function(x, n):
        x = arith.subf(arith.mulf(number(2), x), number(1)) if shift else x
        whole = arith.fptosi(ir.IntegerType.get_signless(64), n)
        count = arith.index_cast(ir.IndexType.get(), whole)
        one = arith.constant(ir.IndexType.get(), 1)
        start, after = first(x), second(x)
        loop = scf.ForOp(one, count, one, [start, after])
        with ir.InsertionPoint(loop.body):
            index = arith.index_cast(ir.IntegerType.get_signless(64), loop.induction_variable)
            k = arith.sitofp(ir.F64Type.get(), index)
            before, here = loop.inner_iter_args
            scf.YieldOp([here, step(k, x, here, before)])
        zero = s.like(0, whole)
        value = s.select(s.compare("eq", whole, zero), start, loop.results[1])
        return s.select(s.compare("lt", whole, zero), number(0), value)

    return function


def _double(x):
    return arith.mulf(number(2), x)


def _chebyshev_step(k, x, here, before):
    return arith.subf(arith.mulf(_double(x), here), before)


def _legendre_step(k, x, here, before):
    up = arith.addf(_double(k), number(1))
    total = arith.subf(arith.mulf(arith.mulf(up, x), here), arith.mulf(k, before))
    return arith.divf(total, arith.addf(k, number(1)))


def _laguerre_step(k, x, here, before):
    up = arith.subf(arith.addf(_double(k), number(1)), x)
    total = arith.subf(arith.mulf(up, here), arith.mulf(k, before))
    return arith.divf(total, arith.addf(k, number(1)))


def _hermite_step(k, x, here, before):
    return arith.subf(arith.mulf(_double(x), here), arith.mulf(_double(k), before))


def _hermite_e_step(k, x, here, before):
    return arith.subf(arith.mulf(x, here), arith.mulf(k, before))


def _one(x):
    return number(1)


POLYNOMIALS = {
    "chebyshev_polynomial_t": (lambda x: x, _chebyshev_step),
    "chebyshev_polynomial_u": (_double, _chebyshev_step),
    "chebyshev_polynomial_v": (lambda x: arith.subf(_double(x), number(1)), _chebyshev_step),
    "chebyshev_polynomial_w": (lambda x: arith.addf(_double(x), number(1)), _chebyshev_step),
    "hermite_polynomial_h": (_double, _hermite_step),
    "hermite_polynomial_he": (lambda x: x, _hermite_e_step),
    "laguerre_polynomial_l": (lambda x: arith.subf(number(1), x), _laguerre_step),
    "legendre_polynomial_p": (lambda x: x, _legendre_step),
}
for _name, (_second, _step) in POLYNOMIALS.items():
    _op = getattr(aten, f"special_{_name}").default
    register_special(_recurrence(_one, _second, _step, False), _op)
    if _name.startswith("chebyshev"):
        _op = getattr(aten, f"special_shifted_{_name}").default
        register_special(_recurrence(_one, _second, _step, True), _op)
