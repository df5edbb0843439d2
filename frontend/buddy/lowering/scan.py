# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums, products and extrema: reductions that keep every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from mlir import ir
from mlir.dialects import arith, math

from ..types import TensorSpec, compute_dtype
from . import scalar as s
from .emitter import Emitter, Number
from .reduction import highest, lowest
from .registry import lowers

aten = torch.ops.aten


def scan(
    e: Emitter,
    x,
    dim: int,
    starts: Sequence[tuple[Number, torch.dtype]],
    step: Callable,
    results: Sequence[torch.dtype],
) -> list[ir.Value]:
    """Tensors of x's shape that hold what `step` returns beside the new state, along dim.

    `step` takes an element, its index along dim and the state, and returns the new state and
    the results as two lists. The loop along dim is a reduction whose outputs move with it; it
    runs forwards.
    """
    source = e.spec(x)
    kept = [d for d in range(source.rank) if d != dim]
    order = [*kept, dim]
    loops = [ir.AffineDimExpr.get(order.index(d)) for d in range(source.rank)]
    whole = ir.AffineMap.get(source.rank, 0, loops)
    state_map = ir.AffineMap.get(source.rank, 0, [loops[d] for d in kept])
    shape = tuple(source.shape[d] for d in kept)
    states = [e.full(TensorSpec(shape, dtype), value) for value, dtype in starts]
    outs = [e.empty(source.with_dtype(dtype)) for dtype in results]

    def body(element, *carried):
        state, values = step(element, s.loop_index(source.rank - 1), *carried[: len(states)])
        return [*state, *values]

    maps = [whole, *[state_map] * len(states), *[whole] * len(outs)]
    made = e.generic([x], [*states, *outs], maps, len(kept), 1, body)
    return made[len(states) :]


def running_sum(e: Emitter, x, dim: int, dtype: torch.dtype):
    """Σ x[j] for j ≤ i, as `dtype`; of f32 in f64, as eager does."""
    return _running(e, x, dim, dtype, _accumulated(dtype), 0, s.add)


def _accumulated(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float32 else compute_dtype(dtype)


def _running(
    e: Emitter, x, dim: int, dtype: torch.dtype, wide: torch.dtype, start: Number, combine
):
    """The fold, in `wide`, of all elements up to each one along dim, as `dtype`."""
    if e.rank(x) == 0 or e.is_empty(e.spec(x)):
        return e.cast(x, dtype)
    source = e.dtype(x)

    def step(element, _, total):
        total = combine(total, s.cast(element, source, wide))
        return [total], [s.cast(total, wide, dtype)]

    return scan(e, x, dim % e.rank(x), [(start, wide)], step, [dtype])[0]


@lowers(aten.cumsum.default)
def cumsum(e: Emitter, x, dim, *, dtype=None):
    return running_sum(e, x, dim, e.out.dtype)


@lowers(aten.cumprod.default)
def cumprod(e: Emitter, x, dim, *, dtype=None):
    return _running(e, x, dim, e.out.dtype, _accumulated(e.out.dtype), 1, s.mul)


@lowers(aten.logcumsumexp.default)
def logcumsumexp(e: Emitter, x, dim):
    dtype = e.out.dtype
    return _running(e, x, dim, dtype, compute_dtype(dtype), lowest(torch.float32), _log_add_exp)


def _log_add_exp(x, y):
    """log(eˣ + eʸ); of two equal infinities the first, whose difference would be NaN."""
    low, high = arith.minimumf(x, y), arith.maximumf(x, y)
    total = arith.addf(math.log1p(math.exp(arith.subf(low, high))), high)
    infinite = s.compare("eq", math.absf(low), s.like(float("inf"), low))
    return s.select(arith.andi(infinite, s.compare("eq", low, high)), x, total)


@lowers(aten.cummax.default)
def cummax(e: Emitter, x, dim):
    return _running_extremum(e, x, dim, "ge", lowest)


@lowers(aten.cummin.default)
def cummin(e: Emitter, x, dim):
    return _running_extremum(e, x, dim, "le", highest)


def _running_extremum(e: Emitter, x, dim, predicate: str, neutral):
    """The extremum so far and its last position; NaN wins."""
    if e.rank(x) == 0:
        return x, e.full(e.out[1], 0)
    if e.is_empty(e.spec(x)):
        return tuple(e.empty(spec) for spec in e.out)
    source = e.dtype(x)
    wide = compute_dtype(source)

    def step(element, index, best, where):
        here = arith.index_cast(ir.IntegerType.get_signless(64), index)
        element = s.cast(element, source, wide)
        better = s.compare(predicate, element, best)
        if s.is_float_value(element):
            better = arith.ori(better, s.is_nan(element))
        best, where = s.select(better, element, best), s.select(better, here, where)
        return [best, where], [s.cast(best, wide, source), where]

    starts = [(neutral(source), wide), (0, torch.int64)]
    return tuple(scan(e, x, dim % e.rank(x), starts, step, [source, torch.int64]))
