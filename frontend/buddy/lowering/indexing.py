# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads at computed positions: embeddings, gathers, index tensors, triangles."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from ..types import Dim, TensorSpec, product
from . import scalar as s
from .bounds import check_range, clamped, last_of
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
    if e.is_empty(e.spec(x)):
        return e.full(out, 0)  # every index is out of range

    def body(*elements):
        loops = [s.loop_index(i) for i in range(out.rank)]
        return tensor.extract(x, at(loops, *elements))

    return e.map(body, list(indices), out)


def wrapped(element, size: ir.Value) -> ir.Value:
    """An element of an index tensor as an index value; negative ones count from the end."""
    index = arith.index_cast(ir.IndexType.get(), element)
    zero = arith.constant(ir.IndexType.get(), 0)
    negative = arith.cmpi(arith.CmpIPredicate.slt, index, zero)
    return arith.select(negative, arith.addi(index, size), index)


def as_index(element, last: ir.Value) -> ir.Value:
    """An element of an index tensor that is never negative, to read at."""
    return clamped(arith.index_cast(ir.IndexType.get(), element), last)


@lowers(aten.embedding.default)
def embedding(e: Emitter, weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """weight [V, D] at indices [...]; the last three arguments only matter to gradients."""
    rows = e.shape(weight)[0]
    check_range(e, indices, rows)
    last = last_of(e, rows)
    ids = e.reshape(indices, (*e.shape(indices), 1))
    return gather_elements(e, weight, lambda loops, i: [as_index(i, last), loops[-1]], [ids])


@lowers(aten.index_select.default)
def index_select(e: Emitter, x, dim, index):
    if e.rank(x) == 0:
        return x
    dim %= e.rank(x)
    size = e.shape(x)[dim]
    check_range(e, index, size)
    last = last_of(e, size)
    shape = [1] * e.rank(x)
    shape[dim] = e.out.shape[dim]
    ids = e.reshape(index, shape)

    def at(loops, i):
        return [as_index(i, last) if d == dim else v for d, v in enumerate(loops)]

    return gather_elements(e, x, at, [ids])


@lowers(aten.gather.default)
def gather(e: Emitter, x, dim, index, *, sparse_grad=False):
    if e.rank(x) == 0:
        return x
    dim %= e.rank(x)
    size = e.shape(x)[dim]
    check_range(e, index, size)
    last = last_of(e, size)

    def at(loops, i):
        return [as_index(i, last) if d == dim else v for d, v in enumerate(loops)]

    return gather_elements(e, x, at, [index])


class IndexBlock:
    """How the index tensors of `x[i, :, j]` lie in the result.

    They broadcast together and stand where the first of them does; with a slice between two of
    them their dimensions come first, as NumPy has it.
    """

    def __init__(self, e: Emitter, x, indices):
        indices = [*indices, *[None] * (e.rank(x) - len(indices))]
        self.used = [d for d, i in enumerate(indices) if i is not None]
        self.kept = [d for d, i in enumerate(indices) if i is None]
        self.tensors = [indices[d] for d in self.used]
        self.shape = _broadcast([e.shape(i) for i in self.tensors])
        self.rest = tuple(e.shape(x)[d] for d in self.kept)
        adjacent = self.used == list(range(self.used[0], self.used[-1] + 1))
        self.start = self.used[0] if adjacent else 0
        self.end = self.start + len(self.shape)
        self.result = (*self.rest[: self.start], *self.shape, *self.rest[self.start :])

    def to_front(self) -> list[int]:
        """The permutation of the result that lets the index dimensions come first."""
        block = range(self.start, self.end)
        return [*block, *(d for d in range(len(self.result)) if d not in block)]


def _broadcast(shapes) -> tuple[Dim, ...]:
    """The common shape; where an extent is not 1 it is the same in all of them."""
    rank = max(map(len, shapes))
    columns = zip(*[(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes])
    return tuple(next((d for d in column if d != 1), 1) for column in columns)


@lowers(aten.index.Tensor)
def index_tensor(e: Emitter, x, indices):
    for size, index in zip(e.shape(x), indices):
        if index is not None and e.dtype(index) != torch.bool:
            check_range(e, index, size, negative=True)
    return unsafe_index(e, x, indices)


@lowers(aten._unsafe_index.Tensor)
def unsafe_index(e: Emitter, x, indices):
    """The same where the program's own arithmetic keeps the indices in range."""
    if any(i is not None and e.dtype(i) == torch.bool for i in indices):
        raise Unsupported("a boolean index: the result's size depends on its values")
    block = IndexBlock(e, x, indices)
    extents = {d: e.index(e.shape(x)[d]) for d in block.used}
    last = {d: last_of(e, e.shape(x)[d]) for d in block.used}
    tail = [1] * (e.out.rank - block.end)
    ids = [e.reshape(i, (*e.shape(i), *tail)) for i in block.tensors]

    def at(loops, *elements):
        rest = iter([*loops[: block.start], *loops[block.end :]])
        chosen = dict(zip(block.used, elements))
        return [
            clamped(wrapped(chosen[d], extents[d]), last[d]) if d in chosen else next(rest)
            for d in range(e.rank(x))
        ]

    return gather_elements(e, x, at, ids)


@lowers(aten.take.default)
def take(e: Emitter, x, index):
    """Elements of x, seen flat."""
    total = product(e.shape(x))
    check_range(e, index, total, negative=True)
    flat, extent, last = e.reshape(x, (total,)), e.index(total), last_of(e, total)
    return gather_elements(e, flat, lambda loops, i: [clamped(wrapped(i, extent), last)], [index])


@lowers(aten.unfold.default)
def unfold(e: Emitter, x, dimension, size, step):
    """Windows along a dimension; their elements are the last dimension of the result."""
    if e.rank(x) == 0:
        return e.reshape(x, e.out.shape)
    dimension %= e.rank(x)
    stride = e.index(step)

    def at(loops):
        first = arith.muli(loops[dimension], stride)
        inside = arith.addi(first, loops[-1])
        return [inside if d == dimension else v for d, v in enumerate(loops[:-1])]

    return gather_elements(e, x, at)


def _on_diagonal(rank: int, dim1: int, dim2: int, offset: int):
    """Where element `k` of a diagonal lies: rows (dim1) and columns (dim2) start at."""
    return dim1 % rank, dim2 % rank, max(-offset, 0), max(offset, 0)


@lowers(aten.diagonal.default)
def diagonal(e: Emitter, x, offset=0, dim1=0, dim2=1):
    rows, columns, down, right = _on_diagonal(e.rank(x), dim1, dim2, offset)
    starts = {rows: e.index(down), columns: e.index(right)}

    def at(loops):
        rest = iter(loops[:-1])
        return [
            arith.addi(loops[-1], starts[d]) if d in starts else next(rest)
            for d in range(e.rank(x))
        ]

    return gather_elements(e, x, at)


@lowers(aten.diagonal_scatter.default)
def diagonal_scatter(e: Emitter, x, src, offset=0, dim1=0, dim2=1):
    """x, with src where row and column meet on the diagonal."""
    if e.is_empty(e.spec(src)):
        return x
    rows, columns, down, right = _on_diagonal(e.rank(x), dim1, dim2, offset)
    zero = e.index(0)
    last = arith.subi(e.index(e.shape(src)[-1]), e.index(1))
    starts = e.index(down), e.index(right)

    def body(element):
        loops = [s.loop_index(d) for d in range(e.out.rank)]
        place = arith.subi(loops[rows], starts[0])
        other = arith.subi(loops[columns], starts[1])
        inside = arith.cmpi(arith.CmpIPredicate.eq, place, other)
        inside = arith.andi(inside, arith.cmpi(arith.CmpIPredicate.sge, place, zero))
        near = arith.minsi(arith.maxsi(place, zero), last)
        kept = [v for d, v in enumerate(loops) if d not in (rows, columns)]
        return s.select(inside, tensor.extract(src, [*kept, near]), element)

    return e.map(body, [x], e.out)


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
