# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions: sums, means, extrema and their positions."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith, math

from ..types import TensorSpec, compute_dtype, is_float, product
from . import scalar as s
from .emitter import Emitter
from .registry import lowers

aten = torch.ops.aten


def dims_of(e: Emitter, x, dims) -> list[int]:
    """Which dimensions to reduce; none named means all of them."""
    rank = e.rank(x)
    if dims is None or (isinstance(dims, (list, tuple)) and not dims):
        return list(range(rank))
    if isinstance(dims, int):
        dims = [dims]
    return sorted({d % rank for d in dims}) if rank else []


def fold(e: Emitter, x, dims, combine, start, dtype: torch.dtype):
    """x reduced with `combine` over dims, which stay as size 1, in `dtype`."""
    source = e.spec(x)

    def body(element, accumulator):
        return combine(accumulator, s.cast(element, source.dtype, dtype, implicit=True))

    reduced = e.reduce(x, dims, body, [(start, dtype)])[0]
    return e.reshape(reduced, [1 if i in dims else d for i, d in enumerate(source.shape)])


def sum_of(e: Emitter, x, dims, dtype: torch.dtype):
    """Sum over dims, which stay as size 1, in the dtype that `dtype` is computed in."""
    return fold(e, x, dims, s.add, 0, compute_dtype(dtype))


def as_result(e: Emitter, x):
    """A folded tensor under the result's shape (keepdim or not) and dtype."""
    return e.cast(e.reshape(x, e.out.shape), e.out.dtype)


@lowers(aten.sum.default)
def sum_all(e: Emitter, x, *, dtype=None):
    return _sum(e, x, dims_of(e, x, None))


@lowers(aten.sum.dim_IntList)
def sum_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _sum(e, x, dims_of(e, x, dim))


def _sum(e: Emitter, x, dims):
    if not dims:  # a number: it is not to be rounded as what is added up is
        return e.cast(x, e.out.dtype)
    return as_result(e, sum_of(e, x, dims, e.out.dtype))


@lowers(aten.mean.default)
def mean_all(e: Emitter, x, *, dtype=None):
    return _mean(e, x, dims_of(e, x, None))


@lowers(aten.mean.dim)
def mean_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _mean(e, x, dims_of(e, x, dim))


def _mean(e: Emitter, x, dims):
    count = product([e.shape(x)[d] for d in dims])
    total = sum_of(e, x, dims, e.out.dtype)
    return e.pointwise(arith.divf, e.reshape(total, e.out.shape), count)


@lowers(aten.prod.default)
def prod_all(e: Emitter, x, *, dtype=None):
    return _prod(e, x, dims_of(e, x, None))


@lowers(aten.prod.dim_int)
def prod_dim(e: Emitter, x, dim, keepdim=False, *, dtype=None):
    return _prod(e, x, dims_of(e, x, dim))


def _prod(e: Emitter, x, dims):
    return as_result(e, fold(e, x, dims, s.mul, 1, compute_dtype(e.out.dtype)))


def lowest(dtype: torch.dtype):
    """The neutral element of max."""
    return -pymath.inf if is_float(dtype) else _integer_limit(dtype, "min")


def highest(dtype: torch.dtype):
    """The neutral element of min."""
    return pymath.inf if is_float(dtype) else _integer_limit(dtype, "max")


def _integer_limit(dtype: torch.dtype, end: str) -> int:
    if dtype == torch.bool:
        return int(end == "max")
    return getattr(torch.iinfo(dtype), end)


@lowers(aten.amax.default)
def amax(e: Emitter, x, dim=(), keepdim=False):
    return extremum(e, x, dims_of(e, x, dim), s.maximum, lowest)


@lowers(aten.amin.default)
def amin(e: Emitter, x, dim=(), keepdim=False):
    return extremum(e, x, dims_of(e, x, dim), s.minimum, highest)


@lowers(aten.max.default)
def max_all(e: Emitter, x):
    return extremum(e, x, dims_of(e, x, None), s.maximum, lowest)


@lowers(aten.min.default)
def min_all(e: Emitter, x):
    return extremum(e, x, dims_of(e, x, None), s.minimum, highest)


def extremum(e: Emitter, x, dims, combine, neutral):
    """max or min over dims; NaN wins, as in eager."""
    dtype = compute_dtype(e.dtype(x))
    return as_result(e, fold(e, x, dims, combine, neutral(e.dtype(x)), dtype))


@lowers(aten.any.default)
def any_all(e: Emitter, x):
    return _truth(e, x, None, arith.ori, False)


@lowers(aten.any.dim, aten.any.dims)
def any_dim(e: Emitter, x, dim=None, keepdim=False):
    return _truth(e, x, dim, arith.ori, False)


@lowers(aten.all.default)
def all_all(e: Emitter, x):
    return _truth(e, x, None, arith.andi, True)


@lowers(aten.all.dim)
def all_dim(e: Emitter, x, dim, keepdim=False):
    return _truth(e, x, dim, arith.andi, True)


def _truth(e: Emitter, x, dim, combine, start):
    return as_result(e, fold(e, x, dims_of(e, x, dim), combine, start, torch.bool))


@lowers(aten.argmax.default)
def argmax(e: Emitter, x, dim=None, keepdim=False):
    return position_of(e, x, dim, "gt", lowest)[1]


@lowers(aten.argmin.default)
def argmin(e: Emitter, x, dim=None, keepdim=False):
    return position_of(e, x, dim, "lt", highest)[1]


@lowers(aten.max.dim)
def max_dim(e: Emitter, x, dim, keepdim=False):
    return position_of(e, x, dim, "gt", lowest)


@lowers(aten.min.dim)
def min_dim(e: Emitter, x, dim, keepdim=False):
    return position_of(e, x, dim, "lt", highest)


def position_of(e: Emitter, x, dim, predicate: str, neutral):
    """The extremum along `dim` (None: of all elements) and its first position; NaN wins."""
    if dim is None:
        x, dim = e.reshape(x, (product(e.shape(x)),)), 0
    source = e.dtype(x)
    if e.rank(x) == 0:
        x, dim = e.reshape(x, (1,)), 0
    dim %= e.rank(x)
    loop = e.rank(x) - 1  # the reduction loop comes last
    dtype = compute_dtype(source)

    def body(element, best, where):
        here = arith.index_cast(ir.IntegerType.get_signless(64), s.loop_index(loop))
        element = s.cast(element, source, dtype)
        better = _first(predicate, element, best, where)
        return s.select(better, element, best), s.select(better, here, where)

    values, positions = e.reduce(x, [dim], body, [(neutral(source), dtype), (-1, torch.int64)])
    shape = e.out[0].shape if isinstance(e.out, tuple) else e.out.shape
    return e.reshape(e.cast(values, source), shape), e.reshape(positions, shape)


def _first(predicate: str, element, best, where):
    """Whether the element replaces the best so far: better, NaN, or the very first."""
    better = s.compare(predicate, element, best)
    if s.is_float_value(element):
        new_nan = arith.andi(s.is_nan(element), s.logical_not(s.is_nan(best)))
        better = arith.ori(arith.andi(better, s.logical_not(s.is_nan(best))), new_nan)
    return arith.ori(better, s.compare("lt", where, s.like(0, where)))


@lowers(aten.var.correction)
def var(e: Emitter, x, dim=None, *, correction=1, keepdim=False):
    return as_result(e, _moments(e, x, dim, correction)[0])


@lowers(aten.var_mean.correction)
def var_mean(e: Emitter, x, dim=None, *, correction=1, keepdim=False):
    return _as_results(e, _moments(e, x, dim, correction))


@lowers(aten.std.correction)
def std(e: Emitter, x, dim=None, *, correction=1, keepdim=False):
    variance, _ = _moments(e, x, dim, correction)
    return as_result(e, e.pointwise(math.sqrt, variance, out=e.spec(variance)))


@lowers(aten.std_mean.correction)
def std_mean(e: Emitter, x, dim=None, *, correction=1, keepdim=False):
    variance, mean = _moments(e, x, dim, correction)
    return _as_results(e, (e.pointwise(math.sqrt, variance, out=e.spec(variance)), mean))


def _as_results(e: Emitter, values) -> tuple:
    return tuple(e.cast(e.reshape(v, out.shape), out.dtype) for v, out in zip(values, e.out))


def _moments(e: Emitter, x, dim, correction):
    """Σ(x − mean)² ÷ max(N − correction, 0) and the mean, over dims that stay as size 1.

    In two passes and in f64 as eager, where no square of a smaller type overflows. The mean of f64
    is off by its rounding: a pass between them finds by how much, so that numbers that are all the
    same vary by 0.
    """
    dims = dims_of(e, x, dim)
    count = product([e.shape(x)[d] for d in dims])
    wide = TensorSpec(e.shape(x), torch.float64)

    def mean_of(y):
        total = sum_of(e, y, dims, torch.float64)
        return e.pointwise(arith.divf, total, count, out=e.spec(total))

    mean = center = mean_of(x)
    if e.dtype(x) == torch.float64:
        error = mean_of(e.pointwise(arith.subf, x, mean, out=wide))
        center = e.pointwise(arith.addf, mean, error, out=e.spec(mean))
    spread = sum_of(e, e.pointwise(_squared_distance, x, center, out=wide), dims, torch.float64)
    divisor = max(count - correction, 0) if isinstance(count, int) else count - correction
    return e.pointwise(arith.divf, spread, divisor, out=e.spec(spread)), mean


def _squared_distance(x, center):
    distance = arith.subf(x, center)
    return arith.mulf(distance, distance)


@lowers(aten.logsumexp.default)
def logsumexp(e: Emitter, x, dim, keepdim=False):
    """log Σ exp(x − max) + max; an infinite maximum is taken as 0 first."""
    dims, wide = dims_of(e, x, dim), compute_dtype(e.out.dtype)
    peak = fold(e, x, dims, s.maximum, -pymath.inf, wide)
    peak = e.pointwise(_finite_or_zero, peak, out=e.spec(peak))
    shifted = e.pointwise(
        lambda v, m: math.exp(arith.subf(v, m)), x, peak, out=TensorSpec(e.shape(x), wide)
    )
    total = e.reshape(sum_of(e, shifted, dims, wide), e.out.shape)
    peak = e.reshape(peak, e.out.shape)
    return e.pointwise(lambda t, m: arith.addf(math.log(t), m), total, peak)


def _finite_or_zero(x):
    infinite = s.compare("eq", math.absf(x), s.like(pymath.inf, x))
    return s.select(infinite, s.like(0, x), x)
