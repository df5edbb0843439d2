# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bessel functions: power series close to 0, Hankel's asymptotic series far from it."""

from __future__ import annotations

import math as pymath
from collections.abc import Callable

import torch
from mlir import ir
from mlir.dialects import arith, math, scf

from . import scalar as s
from .emitter import Emitter
from .registry import lowers
from .special import F64, number, polynomial, register_special

aten = torch.ops.aten
GAMMA = 0.57721566490153286061  # Euler's


def _compare(predicate: str, x: ir.Value, value: float) -> ir.Value:
    return s.compare(predicate, x, number(value))


def _bessel_i(order: int, scaled: bool):
    """I₀ or I₁, divided by exp(|x|) if scaled: the power series up to 20, then the asymptotic."""
    powers = [1 / (pymath.factorial(k) * pymath.factorial(k + order)) for k in range(45)]
    asymptotic = [1.0]
    for k in range(1, 24):
        asymptotic.append(asymptotic[-1] * ((2 * k - 1) ** 2 - 4 * order**2) / (8 * k))

    def function(x):
        size = math.absf(x)
        half = arith.mulf(number(0.5), size)
        series = polynomial(arith.mulf(half, half), powers)
        series = arith.mulf(series, half) if order else series
        # Read where it is taken only: the division by zero elsewhere does no harm.
        tail = polynomial(arith.divf(number(1), size), asymptotic)
        tail = arith.divf(tail, math.sqrt(arith.mulf(number(2 * pymath.pi), size)))
        decay = math.exp(arith.negf(size))
        near = arith.mulf(series, decay) if scaled else series
        far = tail if scaled else arith.mulf(tail, math.exp(size))
        value = s.select(_compare("le", size, 20), near, far)
        return s.select(_compare("lt", x, 0), arith.negf(value), value) if order else value

    return function


register_special(_bessel_i(0, False), aten.i0.default, aten.special_modified_bessel_i0.default)
register_special(_bessel_i(1, False), aten.special_i1.default,
                 aten.special_modified_bessel_i1.default)  # fmt: skip
register_special(_bessel_i(0, True), aten.special_i0e.default)
register_special(_bessel_i(1, True), aten.special_i1e.default)


@lowers(aten.special_spherical_bessel_j0.default)
def spherical_bessel_j0(e: Emitter, x):
    """sin(x) ÷ x, by its series close to 0."""

    def body(v):
        small = _compare("lt", math.absf(v), 0.5)
        terms = [(-1.0) ** k / pymath.factorial(2 * k + 1) for k in range(8)]
        near = polynomial(arith.mulf(v, v), terms)
        far = arith.divf(math.sin(v), v)
        infinite = _compare("eq", math.absf(v), pymath.inf)
        return s.select(infinite, number(0), s.select(small, near, far))

    return e.pointwise(body, x, dtype=F64)


def _series(order: int, weights: Callable[[int], float] = lambda k: 1.0) -> list[float]:
    """The coefficients of (x/2)^2k in J, each times a weight."""
    return [
        (-1) ** k * weights(k) / (pymath.factorial(k) * pymath.factorial(k + order))
        for k in range(40)
    ]


def _harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


def _near_j(order: int, x):
    half = arith.mulf(number(0.5), x)
    value = polynomial(arith.mulf(half, half), _series(order))
    return arith.mulf(half, value) if order else value


def _near_y(order: int, x):
    half = arith.mulf(number(0.5), x)
    logarithm = arith.mulf(math.log(half), _near_j(order, x))
    psi = [2 * _harmonic(k) - 2 * GAMMA if order == 0
           else _harmonic(k) + _harmonic(k + 1) - 2 * GAMMA for k in range(40)]  # fmt: skip
    rest = polynomial(arith.mulf(half, half), _series(order, lambda k: psi[k]))
    rest = arith.mulf(half, rest) if order else rest
    value = arith.subf(logarithm, arith.mulf(number(0.5), rest))
    value = arith.mulf(number(2 / pymath.pi), value)
    return arith.subf(value, arith.divf(number(2 / pymath.pi), x)) if order else value


def _asymptotic(order: int, count: int) -> list[float]:
    """Hankel's coefficients of x^-k."""
    terms = [1.0]
    for k in range(1, count):
        terms.append(terms[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return terms


def _far(order: int, x, second: bool):
    """√(2/πx) (P cos χ − Q sin χ), or (P sin χ + Q cos χ) for the second kind."""
    terms = _asymptotic(order, 24)
    inverse = arith.divf(number(1), x)
    square = arith.mulf(inverse, inverse)
    p = polynomial(square, [(-1) ** k * t for k, t in enumerate(terms[0::2])])
    q = polynomial(square, [(-1) ** k * t for k, t in enumerate(terms[1::2])])
    q = arith.mulf(q, inverse)
    phase = arith.subf(x, number(order * pymath.pi / 2 + pymath.pi / 4))
    cosine, sine = math.cos(phase), math.sin(phase)
    if second:
        value = arith.addf(arith.mulf(p, sine), arith.mulf(q, cosine))
    else:
        value = arith.subf(arith.mulf(p, cosine), arith.mulf(q, sine))
    return arith.mulf(math.sqrt(arith.mulf(number(2 / pymath.pi), inverse)), value)


def _bessel_j(order: int):
    def function(x):
        size = math.absf(x)
        near, far = _near_j(order, size), _far(order, size, False)
        value = s.select(_compare("le", size, 12), near, far)
        value = s.select(_compare("eq", size, pymath.inf), number(0), value)
        return s.select(_compare("lt", x, 0), arith.negf(value), value) if order else value

    return function


def _bessel_y(order: int):
    def function(x):
        value = s.select(_compare("le", x, 12), _near_y(order, x), _far(order, x, True))
        value = s.select(_compare("lt", x, 0), number(pymath.nan), value)
        return s.select(_compare("eq", x, 0), number(-pymath.inf), value)

    return function


STEP, STEPS = 0.125, 256


def _bessel_k(order: int, scaled: bool):
    """K₀ or K₁ = ∫ exp(−x cosh t) cosh(νt) dt, times eˣ if scaled.

    The sum with STEP is exact to f64 up to 20, where the asymptotic series takes over.
    """

    def function(x):
        first, end = (arith.constant(ir.IndexType.get(), i) for i in (1, STEPS))
        total = number(0.5) if scaled else arith.mulf(number(0.5), math.exp(arith.negf(x)))
        loop = scf.ForOp(first, end, first, [total])
        with ir.InsertionPoint(loop.body):
            whole = arith.index_cast(ir.IntegerType.get_signless(64), loop.induction_variable)
            t = arith.mulf(number(STEP), arith.sitofp(ir.F64Type.get(), whole))
            height = math.cosh(t)
            depth = arith.subf(height, number(1)) if scaled else height
            term = math.exp(arith.negf(arith.mulf(x, depth)))
            term = arith.mulf(term, height) if order else term
            scf.YieldOp([arith.addf(loop.inner_iter_args[0], term)])
        near = arith.mulf(number(STEP), loop.results[0])
        far = polynomial(arith.divf(number(1), x), _asymptotic(order, 24))
        far = arith.mulf(far, math.sqrt(arith.divf(number(pymath.pi / 2), x)))
        far = far if scaled else arith.mulf(far, math.exp(arith.negf(x)))
        value = s.select(_compare("le", x, 20), near, far)
        value = s.select(_compare("lt", x, 0), number(pymath.nan), value)
        return s.select(_compare("eq", x, 0), number(pymath.inf), value)

    return function


for _order in (0, 1):
    register_special(_bessel_j(_order), getattr(aten, f"special_bessel_j{_order}").default)
    register_special(_bessel_y(_order), getattr(aten, f"special_bessel_y{_order}").default)
    for _prefix, _scaled in (("", False), ("scaled_", True)):
        _op = getattr(aten, f"special_{_prefix}modified_bessel_k{_order}").default
        register_special(_bessel_k(_order, _scaled), _op)
