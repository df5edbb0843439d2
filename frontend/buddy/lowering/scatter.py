# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes at computed positions: scatters, index_put, and what folds into what is there.

All of them are `buddy.scatter`: rows of a matrix that are written one after the other, so that
colliding ones end as in eager.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mlir import ir
from mlir.dialects import arith

from ..types import Dim, TensorSpec, compute_dtype, is_float, product, simplify
from . import scalar as s
from .bounds import check_range
from .emitter import Emitter
from .indexing import IndexBlock, wrapped
from .reduction import highest, lowest
from .registry import Unsupported, lowers

aten = torch.ops.aten

# Numbers of arith::AtomicRMWKind: (for floats, for integers, for booleans).
_KINDS = {
    "assign": (arith.AtomicRMWKind.assign,) * 3,
    "add": (arith.AtomicRMWKind.addf, arith.AtomicRMWKind.addi, arith.AtomicRMWKind.ori),
    "mul": (arith.AtomicRMWKind.mulf, arith.AtomicRMWKind.muli, arith.AtomicRMWKind.andi),
    "max": (arith.AtomicRMWKind.maximumf, arith.AtomicRMWKind.maxs, arith.AtomicRMWKind.ori),
    "min": (arith.AtomicRMWKind.minimumf, arith.AtomicRMWKind.mins, arith.AtomicRMWKind.andi),
}


def scatter_rows(e: Emitter, init, positions, source, kind: str):
    """init [M,R] with each row of source [N,R] folded in at positions [N], in order.

    Positions outside of 0..M are passed over. Half precision folds in f32, as `pointwise` does.
    """
    dtype = e.dtype(init)
    wide = dtype if kind == "assign" else compute_dtype(dtype)
    init, source = e.cast(init, wide), e.cast(source, wide)
    if e.is_empty(e.spec(source)):
        return e.cast(init, dtype)
    column = 0 if is_float(wide) else 2 if wide == torch.bool else 1
    number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), int(_KINDS[kind][column]))
    op = ir.Operation.create(
        "buddy.scatter",
        results=[init.type],
        operands=[positions, source, init],
        attributes={"kind": number},
    )
    return e.cast(e.track(op.results[0], e.spec(init)), dtype)


def flat_positions(e: Emitter, indices: Sequence, shape: Sequence[Dim], sizes: Sequence[Dim]):
    """Row-major positions in a tensor of `sizes`, for index tensors broadcast over `shape`.

    An index of None is the loop over its own dimension. Negative elements count from the end.
    """
    tensors = [i for i in indices if i is not None]
    extents = [e.index(d) for d in sizes]

    def body(*elements):
        given, total = iter(elements), None
        for loop, (index, extent) in enumerate(zip(indices, extents)):
            here = s.loop_index(loop) if index is None else wrapped(next(given), extent)
            total = here if total is None else arith.addi(arith.muli(total, extent), here)
        return arith.index_cast(ir.IntegerType.get_signless(64), total)

    out = TensorSpec(tuple(shape), torch.int64)
    return e.reshape(e.map(body, tensors, out), (product(shape),))


def scatter_elements(e: Emitter, x, dim: int, index, source, kind: str):
    """x with source[i, j, …] folded in at x[i, index[i, j, …], …] (for dim 1)."""
    if e.rank(x) == 0:
        x, index = e.reshape(x, (1,)), e.reshape(index, (1,))
        source = e.reshape(source, (1,))
        return e.reshape(scatter_elements(e, x, 0, index, source, kind), ())
    if e.rank(index) == 0:
        index = e.reshape(index, (1,))
    dim %= e.rank(x)
    shape = e.shape(index)
    if e.is_empty(e.spec(index)) or e.is_empty(e.spec(x)):
        return x
    check_range(e, index, e.shape(x)[dim])
    if e.shape(source) != shape:
        source = e.slice(source, [0] * e.rank(x), shape)
    where = [index if d == dim else None for d in range(e.rank(x))]
    positions = flat_positions(e, where, shape, e.shape(x))
    result = scatter_rows(
        e,
        e.reshape(x, (product(e.shape(x)), 1)),
        positions,
        e.reshape(source, (product(shape), 1)),
        kind,
    )
    return e.reshape(result, e.shape(x))


@lowers(aten.scatter.src)
def scatter_src(e: Emitter, x, dim, index, src):
    return scatter_elements(e, x, dim, index, src, "assign")


@lowers(aten.scatter_add.default)
def scatter_add(e: Emitter, x, dim, index, src):
    return scatter_elements(e, x, dim, index, src, "add")


@lowers(aten.scatter.value)
def scatter_value(e: Emitter, x, dim, index, value):
    return scatter_elements(e, x, dim, index, _filled(e, x, index, value), "assign")


def _filled(e: Emitter, x, index, value):
    return e.full(TensorSpec(e.shape(index), e.dtype(x)), value)


_REDUCTIONS = {"sum": "add", "add": "add", "prod": "mul", "multiply": "mul", "mean": "add",
               "amax": "max", "amin": "min"}  # fmt: skip


@lowers(aten.scatter.reduce)
def scatter_reduce_old(e: Emitter, x, dim, index, src, *, reduce):
    return scatter_elements(e, x, dim, index, src, _REDUCTIONS[reduce])


@lowers(aten.scatter.value_reduce)
def scatter_value_reduce(e: Emitter, x, dim, index, value, *, reduce):
    return scatter_elements(e, x, dim, index, _filled(e, x, index, value), _REDUCTIONS[reduce])


@lowers(aten.scatter_reduce.two)
def scatter_reduce(e: Emitter, x, dim, index, src, reduce, *, include_self=True):
    def write(into, source, kind):
        return scatter_elements(e, into, dim, index, source, kind)

    if e.is_empty(e.spec(index)):
        return x
    shape = e.shape(index)
    return _reduced(e, x, src, lambda dtype: TensorSpec(shape, dtype), write, reduce, include_self)


def _reduced(e: Emitter, x, src, spec_of, write, reduce: str, include_self: bool):
    """x with src folded in by `write`; without self, x's own element counts only where nothing
    is written. `spec_of` tells the spec of constants to write."""
    kind, dtype = _REDUCTIONS[reduce], e.dtype(x)
    if not include_self:
        neutral = {"add": 0, "mul": 1, "max": lowest(dtype), "min": highest(dtype)}[kind]
        x = write(x, e.full(spec_of(dtype), neutral), "assign")
    total = write(x, src, kind)
    if reduce != "mean":
        return total
    start = e.full(TensorSpec(e.shape(x), torch.int64), int(include_self))
    count = write(start, e.full(spec_of(torch.int64), 1), "add")
    divide = arith.divf if is_float(dtype) else s.floor_div

    def mean(value, number):
        number = s.maximum(number, s.like(1, number))
        return divide(value, s.cast(number, torch.int64, compute_dtype(dtype)))

    return e.pointwise(mean, total, count, keep=(1,))


@lowers(aten.index_put.default)
def index_put(e: Emitter, x, indices, values, accumulate=False):
    """x with values at the positions that `index` would read."""
    for size, index in zip(e.shape(x), indices):
        if index is not None and e.dtype(index) != torch.bool:
            check_range(e, index, size, negative=True)
    return unsafe_index_put(e, x, indices, values, accumulate)


@lowers(aten._unsafe_index_put.default)
def unsafe_index_put(e: Emitter, x, indices, values, accumulate=False):
    """The same where the program's own arithmetic keeps the indices in range."""
    if any(i is not None and e.dtype(i) == torch.bool for i in indices):
        return _masked_put(e, x, indices, values, accumulate)
    if e.is_empty(e.spec(x)) or e.is_empty(e.spec(values)):
        return x
    block = IndexBlock(e, x, indices)
    if 0 in block.result:
        return x
    values = e.convert(values, TensorSpec(block.result, e.dtype(x)))
    rows, columns = product(block.shape), product(block.rest)
    front = e.transpose(values, block.to_front())
    order = [*block.used, *block.kept]
    ids = [e.reshape(i, (*[1] * (len(block.shape) - e.rank(i)), *e.shape(i)))
           for i in block.tensors]  # fmt: skip
    sizes = [e.shape(x)[d] for d in block.used]
    moved = e.transpose(x, order)
    result = scatter_rows(
        e,
        e.reshape(moved, (product(sizes), columns)),
        flat_positions(e, ids, block.shape, sizes),
        e.reshape(front, (rows, columns)),
        "add" if accumulate else "assign",
    )
    result = e.reshape(result, e.shape(moved))
    return e.transpose(result, sorted(range(len(order)), key=order.__getitem__))


def _masked_put(e: Emitter, x, indices, values, accumulate):
    """A boolean index that covers the first dimensions, and one value for all of them."""
    mask = indices[0] if indices else None
    if len(indices) != 1 or mask is None or product(e.shape(values)) != 1:
        raise Unsupported("a boolean index: the number of values depends on its elements")
    mask = e.reshape(mask, (*e.shape(mask), *[1] * (e.rank(x) - e.rank(mask))))
    value = e.reshape(values, ())

    def body(chosen, new, old):
        return s.select(s.is_true(chosen), s.add(old, new) if accumulate else new, old)

    return e.pointwise(body, mask, value, x, keep=(0,))


def _along(e: Emitter, x, dim: int, index, source, kind: str, negative: bool = False):
    """x with slices of source folded in at index [N] along dim."""
    if e.rank(x) == 0:
        x, dim = e.reshape(x, (1,)), 0
        source = e.reshape(source, (1,))
        return e.reshape(_along(e, x, dim, index, source, kind, negative), ())
    dim %= e.rank(x)
    if e.is_empty(e.spec(x)) or e.is_empty(e.spec(index)):
        return x
    check_range(e, index, e.shape(x)[dim], negative=negative)
    shape, count = e.shape(x), product(e.shape(index))
    index = e.reshape(index, (count,))
    outer, columns = product(shape[:dim]), product(shape[dim + 1 :])
    if columns == 1:  # rows of one element: those along the outer dimensions are longer
        return _across(e, x, dim, index, source, kind)
    result = scatter_rows(
        e,
        e.reshape(x, (outer * shape[dim], columns)),
        flat_positions(e, [None, index], (outer, count), (outer, shape[dim])),
        e.reshape(source, (outer * count, columns)),
        kind,
    )
    return e.reshape(result, shape)


def _across(e: Emitter, x, dim: int, index, source, kind: str):
    """The same with dim moved to the front: index then counts rows."""
    order = [dim, *(d for d in range(e.rank(x)) if d != dim)]
    moved, source = e.transpose(x, order), e.transpose(source, order)
    shape, count = e.shape(moved), product(e.shape(index))
    columns = product(shape[1:])
    result = scatter_rows(
        e,
        e.reshape(moved, (shape[0], columns)),
        flat_positions(e, [index], (count,), (shape[0],)),
        e.reshape(source, (count, columns)),
        kind,
    )
    return e.transpose(e.reshape(result, shape), sorted(order, key=order.__getitem__))


def _slices(e: Emitter, x, dim: int, index) -> tuple[Dim, ...]:
    """The shape of what index chooses along dim."""
    shape = e.shape(x) or (1,)
    dim %= len(shape)
    return (*shape[:dim], product(e.shape(index)), *shape[dim + 1 :])


@lowers(aten.index_add.default)
def index_add(e: Emitter, x, dim, index, source, *, alpha=1):
    if alpha != 1:
        source = e.pointwise(lambda v: s.mul(v, s.like(alpha, v)), source, out=e.spec(source))
    return _along(e, x, dim, index, source, "add")


@lowers(aten.index_copy.default)
def index_copy(e: Emitter, x, dim, index, source):
    return _along(e, x, dim, index, source, "assign")


@lowers(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)
def index_fill(e: Emitter, x, dim, index, value):
    spec = TensorSpec(_slices(e, x, dim, index), e.dtype(x))
    source = e.convert(value, spec) if isinstance(value, ir.Value) else e.full(spec, value)
    return _along(e, x, dim, index, source, "assign", negative=True)


@lowers(aten.index_reduce.default)
def index_reduce(e: Emitter, x, dim, index, source, reduce, *, include_self=True):
    shape = _slices(e, x, dim, index)

    def write(into, values, kind):
        return _along(e, into, dim, index, values, kind)

    return _reduced(e, x, source, lambda dtype: TensorSpec(shape, dtype), write, reduce,
                    include_self)  # fmt: skip


@lowers(aten.put.default)
def put(e: Emitter, x, index, source, accumulate=False):
    """x, seen flat, with the elements of source at index."""
    count, total = product(e.shape(index)), product(e.shape(x))
    if count == 0 or total == 0:
        return x
    check_range(e, index, total, negative=True)
    result = scatter_rows(
        e,
        e.reshape(x, (total, 1)),
        flat_positions(e, [e.reshape(index, (count,))], (count,), (total,)),
        e.reshape(source, (count, 1)),
        "add" if accumulate else "assign",
    )
    return e.reshape(result, e.shape(x))


@lowers(aten.masked_scatter.default)
def masked_scatter(e: Emitter, x, mask, source):
    """The n-th true element of mask takes the n-th element of source."""
    from .scan import running_sum

    total = product(e.shape(x))
    if total == 0 or e.is_empty(e.spec(source)):
        return x
    chosen = e.reshape(e.convert(mask, TensorSpec(e.shape(x), torch.bool)), (total,))
    number = running_sum(e, chosen, 0, torch.int64)
    values = e.reshape(source, (product(e.shape(source)),))
    flat = e.reshape(x, (total,))
    last = e.index(simplify(product(e.shape(source)) - 1))

    def body(here, count, old):
        from mlir.dialects import tensor

        before = arith.subi(wrapped(count, last), arith.constant(ir.IndexType.get(), 1))
        zero = arith.constant(ir.IndexType.get(), 0)
        at = arith.minsi(arith.maxsi(before, zero), last)
        return s.select(here, tensor.extract(values, [at]), old)

    return e.reshape(e.map(body, [chosen, number, flat], e.spec(flat)), e.shape(x))
