# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorts and searches.

A short row is sorted by counting, for each element, those that come before it: that is its place.
Quadratic, but parallel and without branches. A longer one is `buddy.sort`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from mlir import ir
from mlir.dialects import arith, math, scf, tensor

from ..types import Dim, TensorSpec, compute_dtype, product
from . import scalar as s
from .emitter import Emitter
from .indexing import gather_elements
from .registry import Unsupported, lowers
from .scatter import scatter_rows

aten = torch.ops.aten
MOST_COUNTED = 64


def _comes_before(a, b, descending: bool):
    """Whether a sorts strictly before b: NaN is the largest number of all."""
    if descending:
        a, b = b, a
    before = s.compare("lt", a, b)
    if s.is_float_value(a):
        before = arith.ori(before, arith.andi(s.is_nan(b), s.logical_not(s.is_nan(a))))
    return before


def places(e: Emitter, x, dim: int, descending: bool):
    """For each element of x its place among those along dim, as i64; equal ones keep order."""
    source = e.spec(x)
    wide, rank = compute_dtype(source.dtype), source.rank
    loops = [ir.AffineDimExpr.get(i) for i in range(rank + 1)]
    own = ir.AffineMap.get(rank + 1, 0, loops[:rank])
    other = ir.AffineMap.get(
        rank + 1, 0, [loops[rank] if d == dim else loops[d] for d in range(rank)]
    )
    one = ir.IntegerType.get_signless(64)

    def body(mine, theirs, count):
        mine, theirs = (s.cast(v, source.dtype, wide) for v in (mine, theirs))
        earlier = arith.cmpi(arith.CmpIPredicate.slt, s.loop_index(rank), s.loop_index(dim))
        equal = s.logical_not(_comes_before(mine, theirs, descending))
        before = _comes_before(theirs, mine, descending)
        first = arith.ori(before, arith.andi(equal, earlier))
        return arith.addi(count, arith.extui(one, first))

    start = e.full(source.with_dtype(torch.int64), 0)
    return e.generic([x, x], [start], [own, other, own], rank, 1, body)[0]


def sorted_along(e: Emitter, x, dim: int, descending: bool):
    """x sorted along dim, and where each element was."""
    spec = e.spec(x)
    if spec.rank == 0:
        return x, e.full(spec.with_dtype(torch.int64), 0)
    if e.is_empty(spec):
        return x, e.empty(spec.with_dtype(torch.int64))
    dim %= spec.rank
    length = spec.shape[dim]
    if isinstance(length, int) and length <= MOST_COUNTED:
        return _sorted_by_counting(e, x, dim, descending)
    return _sorted_by_merging(e, x, dim, descending)


def _sorted_by_counting(e: Emitter, x, dim: int, descending: bool):
    spec, place = e.spec(x), places(e, x, dim, descending)
    extents = [e.index(d) for d in spec.shape]

    def flat(element):
        total = None
        for d, extent in enumerate(extents):
            here = arith.index_cast(ir.IndexType.get(), element) if d == dim else s.loop_index(d)
            total = here if total is None else arith.addi(arith.muli(total, extent), here)
        return arith.index_cast(ir.IntegerType.get_signless(64), total)

    indices = spec.with_dtype(torch.int64)
    count = product(spec.shape)
    positions = e.reshape(e.map(flat, [place], indices), (count,))
    where = e.map(
        lambda: arith.index_cast(ir.IntegerType.get_signless(64), s.loop_index(dim)), [], indices
    )

    def moved(values):
        column = e.reshape(values, (count, 1))
        made = scatter_rows(e, e.empty(e.spec(column)), positions, column, "assign")
        return e.reshape(made, spec.shape)

    return moved(x), moved(where)


def _sorted_by_merging(e: Emitter, x, dim: int, descending: bool):
    spec = e.spec(x)
    order = [*(d for d in range(spec.rank) if d != dim), dim]
    moved = e.transpose(x, order)
    shape = e.shape(moved)
    rows, length = product(shape[:-1]), shape[-1]
    keys = e.cast(e.reshape(moved, (rows, length)), _comparable(spec.dtype))
    planes = e.empty(TensorSpec((2, rows, length), torch.int64))
    op = ir.Operation.create(
        "buddy.sort",
        results=[planes.type],
        operands=[keys, planes],
        attributes={"descending": ir.BoolAttr.get(descending)},
    )
    planes = e.track(op.results[0], e.spec(planes))
    found = e.reshape(e.slice(planes, [0, 0, 0], [1, rows, length]), shape)
    where = e.transpose(found, sorted(range(spec.rank), key=order.__getitem__))

    def at(loops, place):
        place = arith.index_cast(ir.IndexType.get(), place)
        return [place if d == dim else v for d, v in enumerate(loops)]

    return gather_elements(e, x, at, [where], spec), where


def _comparable(dtype: torch.dtype) -> torch.dtype:
    """A dtype with the same order whose numbers are signed."""
    return torch.int32 if dtype == torch.bool else compute_dtype(dtype)


@lowers(aten.sort.default)
def sort(e: Emitter, x, dim=-1, descending=False):
    """Of equal elements any order will do where the graph only uses it, to group them say."""
    if 1 in e.returned:
        _refuse_ties(e, x)
    return sorted_along(e, x, dim, descending)


@lowers(aten.sort.stable)
def sort_stable(e: Emitter, x, *, stable, dim=-1, descending=False):
    return sorted_along(e, x, dim, descending)


def _refuse_ties(e: Emitter, x) -> None:
    """Which of equal elements eager takes depends on its algorithm; wide floats seldom have any."""
    if 1 in e.read and e.dtype(x) not in (torch.float32, torch.float64):
        raise Unsupported("positions among many equal numbers: eager's choice is its own")


def _cut(e: Emitter, values, indices, dim: int, start: int):
    """Results from place `start` along dim, as many as e.out wants, under its shape."""
    if e.rank(values) == 0:
        return values, indices
    specs, dim = e.out, dim % e.rank(values)
    offsets = [start if d == dim else 0 for d in range(e.rank(values))]
    length = specs[0].shape[dim] if specs[0].rank == e.rank(values) else 1
    sizes = [length if d == dim else size for d, size in enumerate(e.shape(values))]
    cut = (e.slice(v, offsets, sizes) for v in (values, indices))
    return tuple(e.reshape(v, spec.shape) for v, spec in zip(cut, specs))


@lowers(aten.topk.default)
def topk(e: Emitter, x, k, dim=-1, largest=True, sorted=True):  # noqa: A002 - the schema's name
    _refuse_ties(e, x)
    if any(e.is_empty(spec) for spec in e.out):
        return tuple(e.empty(spec) for spec in e.out)
    values, indices = sorted_along(e, x, dim, largest)
    return _cut(e, values, indices, dim, 0)


@lowers(aten.kthvalue.default)
def kthvalue(e: Emitter, x, k, dim=-1, keepdim=False):
    _refuse_ties(e, x)
    values, indices = sorted_along(e, x, dim, False)
    return _cut(e, values, indices, dim, k - 1)


@lowers(aten.median.dim)
def median_dim(e: Emitter, x, dim, keepdim=False):
    """The lower median; a NaN wins, so it is looked for among the largest first."""
    _refuse_ties(e, x)
    return _median(e, x, dim, True)


@lowers(aten.nanmedian.dim)
def nanmedian_dim(e: Emitter, x, dim, keepdim=False):
    _refuse_ties(e, x)
    return _median(e, x, dim, False)


@lowers(aten.median.default)
def median(e: Emitter, x):
    return _median_of_all(e, x, True)


@lowers(aten.nanmedian.default)
def nanmedian(e: Emitter, x):
    return _median_of_all(e, x, False)


def _median_of_all(e: Emitter, x, nan_wins: bool):
    out, count = e.out, product(e.shape(x))
    if count == 0:
        raise Unsupported("the median of nothing")
    e.out = (out, out.with_dtype(torch.int64))
    result = _median(e, e.reshape(x, (count,)), 0, nan_wins)[0]
    e.out = out
    return result


def _median(e: Emitter, x, dim: int, nan_wins: bool):
    """The element at (n − 1) ÷ 2 in sorted order, n counting NaN only where it wins.

    If it does and there is a NaN, the first of them is the result.
    """
    if e.rank(x) == 0:
        return x, e.full(e.out[1], 0)
    dim %= e.rank(x)
    source = e.dtype(x)
    length = e.shape(x)[dim]
    values, indices = sorted_along(e, x, dim, False)
    kept = tuple(1 if d == dim else size for d, size in enumerate(e.shape(x)))

    def ordinary(element, count):
        here = s.is_nan(element) if s.is_float_value(element) else s.compare("ne", element, element)
        return arith.addi(count, arith.extui(count.type, s.logical_not(here)))

    numbers = e.reshape(e.reduce(x, [dim], ordinary, [(0, torch.int64)])[0], kept)
    extent = e.index(length)

    def pick(table):
        def body(count):
            whole = arith.index_cast(ir.IndexType.get(), count)
            zero, one, two = (arith.constant(ir.IndexType.get(), i) for i in range(3))
            middle = arith.divui(arith.maxsi(arith.subi(whole, one), zero), two)
            if nan_wins:
                clean = arith.cmpi(arith.CmpIPredicate.eq, whole, extent)
                middle = arith.select(clean, middle, arith.minsi(whole, arith.subi(extent, one)))
            at = [middle if d == dim else s.loop_index(d) for d in range(len(kept))]
            return tensor.extract(table, at)

        return e.map(body, [numbers], TensorSpec(kept, e.dtype(table)))

    assert source == e.dtype(values)
    chosen = pick(values), pick(indices)
    return tuple(e.reshape(v, spec.shape) for v, spec in zip(chosen, e.out))


@lowers(aten.searchsorted.Tensor)
def searchsorted(
    e: Emitter, sorted_sequence, x, *, out_int32=False, right=False, side=None, sorter=None
):
    """The place of each element in its row: binary search, unrolled for a length that is known."""
    return search(e, sorted_sequence, x, e.out, right or side == "right", sorter)


@lowers(aten.searchsorted.Scalar)
def searchsorted_scalar(
    e: Emitter, sorted_sequence, x, *, out_int32=False, right=False, side=None, sorter=None
):
    value = e.full(TensorSpec((), e.dtype(sorted_sequence)), x)
    return search(e, sorted_sequence, value, e.out, right or side == "right", sorter)


@lowers(aten.bucketize.Tensor)
def bucketize(e: Emitter, x, boundaries, *, out_int32=False, right=False):
    return search(e, boundaries, x, e.out, right)


def search(e: Emitter, table, x, out: TensorSpec, right: bool, sorter=None):
    """How many elements of its row of the table come before each of x (`right`: or equal it).

    `sorter` tells where in the table the element of each place is.
    """
    length = e.shape(table)[-1]
    if length == 0 or e.is_empty(out):
        return e.full(out, 0)
    stored, given = e.dtype(table), e.dtype(x)
    wide = compute_dtype(e.promote(table, x))
    rows = e.rank(table) - 1
    predicate = "gt" if right else "ge"
    steps, extent = _steps(e, length), e.index(length)

    def body(value):
        value = s.cast(value, given, wide)
        row = [s.loop_index(d) for d in range(rows)]
        one = arith.constant(ir.IndexType.get(), 1)

        def advance(count, step):
            """`count` and `step` more, if so many elements come before the value."""
            reached = arith.addi(count, step)
            index = arith.subi(arith.minsi(reached, extent), one)
            if sorter is not None:
                index = arith.index_cast(ir.IndexType.get(), tensor.extract(sorter, [*row, index]))
            element = s.cast(tensor.extract(table, [*row, index]), stored, wide)
            inside = arith.cmpi(arith.CmpIPredicate.sle, reached, extent)
            passed = s.logical_not(s.compare(predicate, element, value))
            return arith.select(arith.andi(inside, passed), reached, count)

        count = arith.constant(ir.IndexType.get(), 0)
        count = _halving(advance, count, steps)
        wide_count = arith.index_cast(ir.IntegerType.get_signless(64), count)
        return s.cast(wide_count, torch.int64, out.dtype)

    return e.map(body, [x], out)


def _steps(e: Emitter, length: Dim) -> list[int] | ir.Value:
    """The powers of two of a binary search in `length` elements, or the first where it varies."""
    if isinstance(length, int):
        return [1 << step for step in reversed(range(length.bit_length()))]
    wide = ir.IntegerType.get_signless(64)
    size = arith.index_cast(wide, e.index(length))
    place = arith.subi(arith.constant(wide, 63), math.ctlz(arith.maxsi(size, s.like(1, size))))
    first = arith.shli(s.like(1, size), place)
    # None in an empty sequence: nothing of it may be read.
    first = s.select(s.compare("eq", size, s.like(0, size)), size, first)
    return arith.index_cast(ir.IndexType.get(), first)


def _halving(advance: Callable, count: ir.Value, steps: list[int] | ir.Value) -> ir.Value:
    """`count` after `advance(count, step)` with each of the steps, from the first down to 1."""
    index = ir.IndexType.get()
    if isinstance(steps, list):
        for step in steps:
            count = advance(count, arith.constant(index, step))
        return count
    loop = scf.WhileOp([index, index], [count, steps])
    before = loop.regions[0].blocks.append(index, index)
    with ir.InsertionPoint(before):
        more = arith.cmpi(arith.CmpIPredicate.ne, before.arguments[1], arith.constant(index, 0))
        scf.ConditionOp(more, before.arguments)
    after = loop.regions[1].blocks.append(index, index)
    with ir.InsertionPoint(after):
        count, step = after.arguments
        half = arith.shrui(step, arith.constant(index, 1))
        scf.YieldOp([advance(count, step), half])
    return loop.results[0]
