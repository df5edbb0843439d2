# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads and writes at computed positions: embeddings, gathers, index tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from ..types import TensorSpec
from . import scalar as s
from .emitter import Emitter
from .registry import Unsupported, lowers

aten = torch.ops.aten


def gather_elements(e: Emitter, x, at: Callable, indices=(), out: TensorSpec | None = None):
    """out[loops] = x[at(loops, *elements)], where elements are those of the index tensors.

    `at` maps loop indices (index values) and one element of each of `indices` (as stored,
    broadcast to out's shape) to one index value per dimension of x.
    """
    out = out or e.out
    if e.is_empty(out):
        return e.empty(out)

    def body(*elements):
        loops = [s.loop_index(i) for i in range(out.rank)]
        return tensor.extract(x, at(loops, *elements))

    return e.map(body, list(indices), out)


def wrapped(e: Emitter, element, size: ir.Value) -> ir.Value:
    """An element of an index tensor as an index value; negative ones count from the end."""
    index = arith.index_cast(ir.IndexType.get(), element)
    zero = arith.constant(ir.IndexType.get(), 0)
    negative = arith.cmpi(arith.CmpIPredicate.slt, index, zero)
    return arith.select(negative, arith.addi(index, size), index)


def as_index(element) -> ir.Value:
    """An element of an index tensor that is never negative."""
    return arith.index_cast(ir.IndexType.get(), element)


@lowers(aten.embedding.default)
def embedding(e: Emitter, weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """weight [V, D] at indices [...]; the last three arguments only matter to gradients."""
    ids = e.reshape(indices, (*e.shape(indices), 1))
    return gather_elements(e, weight, lambda loops, i: [as_index(i), loops[-1]], [ids])


@lowers(aten.index_select.default)
def index_select(e: Emitter, x, dim, index):
    if e.rank(x) == 0:
        return x
    dim %= e.rank(x)
    shape = [1] * e.rank(x)
    shape[dim] = e.out.shape[dim]
    ids = e.reshape(index, shape)

    def at(loops, i):
        return [as_index(i) if d == dim else v for d, v in enumerate(loops)]

    return gather_elements(e, x, at, [ids])


@lowers(aten.gather.default)
def gather(e: Emitter, x, dim, index, *, sparse_grad=False):
    if e.rank(x) == 0:
        return x
    dim %= e.rank(x)

    def at(loops, i):
        return [as_index(i) if d == dim else v for d, v in enumerate(loops)]

    return gather_elements(e, x, at, [index])


@lowers(aten.index.Tensor, aten._unsafe_index.Tensor)
def index_tensor(e: Emitter, x, indices):
    """Index tensors broadcast together and stand where the first of them does.

    With a slice between two of them their dimensions come first, as NumPy has it.
    """
    indices = list(indices) + [None] * (e.rank(x) - len(indices))
    used = [d for d, i in enumerate(indices) if i is not None]
    if any(e.dtype(indices[d]) == torch.bool for d in used):
        raise Unsupported("a boolean index: the result's size depends on its values")
    block = max(e.rank(indices[d]) for d in used)
    adjacent = used == list(range(used[0], used[-1] + 1))
    start = used[0] if adjacent else 0
    sizes = {d: e.index(e.shape(x)[d]) for d in used}
    tail = e.out.rank - start - block
    ids = [e.reshape(indices[d], (*e.shape(indices[d]), *[1] * tail)) for d in used]

    def at(loops, *elements):
        rest = iter([*loops[:start], *loops[start + block :]])
        chosen = dict(zip(used, elements))
        return [
            wrapped(e, chosen[d], sizes[d]) if d in chosen else next(rest)
            for d in range(len(indices))
        ]

    return gather_elements(e, x, at, ids)


def _matches(element, position) -> ir.Value:
    """Whether an index element names `position`."""
    return arith.cmpi(arith.CmpIPredicate.eq, as_index(element), position)


@lowers(aten.select_scatter.default)
def select_scatter(e: Emitter, x, src, dim, index):
    dim %= e.rank(x)
    shape = [1 if i == dim else d for i, d in enumerate(e.shape(x))]
    if isinstance(index, int) and index < 0:
        index = index + e.shape(x)[dim]
    offsets = [index if i == dim else 0 for i in range(e.rank(x))]
    return e.insert(e.reshape(e.cast(src, e.out.dtype), shape), x, offsets)


@lowers(aten.slice_scatter.default)
def slice_scatter(e: Emitter, x, src, dim=0, start=None, end=None, step=1):
    from .shape import _clamped_start

    if e.is_empty(e.spec(src)):
        return x
    dim %= e.rank(x)
    offsets = [0] * e.rank(x)
    offsets[dim] = _clamped_start(e.shape(x)[dim], start)
    strides = [step if i == dim else 1 for i in range(e.rank(x))]
    return e.insert(e.cast(src, e.out.dtype), x, offsets, strides)


@lowers(aten.scatter.src)
def scatter_src(e: Emitter, x, dim, index, src):
    return _scatter(e, x, dim, index, src, lambda old, new: new)


@lowers(aten.scatter_add.default)
def scatter_add(e: Emitter, x, dim, index, src):
    return _scatter(e, x, dim, index, src, s.add)


@lowers(aten.scatter.value)
def scatter_value(e: Emitter, x, dim, index, value):
    src = e.full(TensorSpec(e.shape(index), e.dtype(x)), value)
    return _scatter(e, x, dim, index, src, lambda old, new: new)


def _scatter(e: Emitter, x, dim, index, src, combine):
    """out[i] = combine over all j with index[j] = i, starting at x[i]; a reduction over j.

    Every output element looks at all of `index` along dim: parallel without atomics, and the
    last write wins as in eager. Made for short dimensions; index must span x elsewhere.
    """
    if e.rank(x) == 0 or e.is_empty(e.spec(index)):
        raise Unsupported("scatter on a scalar or an empty index")
    rank, dim = e.rank(x), dim % e.rank(x)
    same = [i for i in range(rank) if i != dim and e.shape(index)[i] != e.shape(x)[i]]
    if same:
        raise Unsupported(f"the index is smaller than the tensor in dimension {same[0]}")
    if e.shape(src) != e.shape(index):
        src = e.slice(src, [0] * rank, e.shape(index))
    loops = [ir.AffineDimExpr.get(i) for i in range(rank + 1)]
    read = ir.AffineMap.get(rank + 1, 0, [loops[rank if i == dim else i] for i in range(rank)])
    write = ir.AffineMap.get(rank + 1, 0, loops[:rank])

    def body(i, new, old):
        return s.select(_matches(i, s.loop_index(dim)), combine(old, new), old)

    # A copy of x is the start: the init of a reduction is overwritten.
    return e.generic([index, src], [x], [read, read, write], rank, 1, body)[0]


@lowers(aten.tril.default)
def tril(e: Emitter, x, diagonal=0):
    return _triangle(e, x, arith.CmpIPredicate.sle, diagonal)


@lowers(aten.triu.default)
def triu(e: Emitter, x, diagonal=0):
    return _triangle(e, x, arith.CmpIPredicate.sge, diagonal)


def _triangle(e: Emitter, x, predicate, diagonal):
    """x where column − row compares with `diagonal`, else 0."""
    shift = e.index(diagonal)

    def body(element):
        row, column = s.loop_index(e.out.rank - 2), s.loop_index(e.out.rank - 1)
        kept = arith.cmpi(predicate, column, arith.addi(row, shift))
        return s.select(kept, element, s.like(0, element))

    return e.map(body, [x], e.out)
