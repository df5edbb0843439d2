# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Views that speak of memory, as reads and writes of values.

They are lowered and not decomposed, so that the graph keeps the strides of what it returns.
"""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith

from ..types import TensorSpec, product
from . import scalar as s
from .emitter import Emitter
from .indexing import gather_elements
from .registry import Unsupported, lowers
from .scatter import scatter_rows

aten = torch.ops.aten


@lowers(aten.as_strided.default)
def as_strided(e: Emitter, x, size, stride, storage_offset=None):
    """The elements of x in the order of its memory, at `storage_offset` + Σ index · stride."""
    order = _memory_order(e)
    _check_inside(e, x, size, stride, storage_offset)
    if not storage_offset and _same_places(e, size, stride):
        return x
    flat = e.reshape(e.transpose(x, order), (product(e.shape(x)),))
    return gather_elements(e, flat, lambda loops: [_place(e, loops, stride, storage_offset)])


@lowers(aten.as_strided_scatter.default)
def as_strided_scatter(e: Emitter, x, src, size, stride, storage_offset=None):
    """x with `src` written to the elements that `as_strided` would read."""
    order = _memory_order(e)
    _check_inside(e, x, size, stride, storage_offset)
    if not storage_offset and _same_places(e, size, stride):
        return e.convert(src, e.out)
    total, count = product(e.shape(x)), product(size)
    loops = TensorSpec(tuple(size), torch.int64)

    def body():
        indices = [s.loop_index(i) for i in range(len(size))]
        place = _place(e, indices, stride, storage_offset)
        return arith.index_cast(ir.IntegerType.get_signless(64), place)

    moved = e.transpose(x, order)
    written = scatter_rows(
        e,
        e.reshape(moved, (total, 1)),
        e.reshape(e.map(body, [], loops), (count,)),
        e.reshape(src, (count, 1)),
        "assign",
    )
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return e.transpose(e.reshape(written, e.shape(moved)), inverse)


def _place(e: Emitter, indices, strides, offset):
    """Where in the memory an element of the view is, as an index value."""
    place = e.index(offset or 0)
    for index, stride in zip(indices, strides):
        place = arith.addi(place, arith.muli(index, e.index(stride)))
    return place


def _check_inside(e: Emitter, x, size, strides, offset) -> None:
    """What was in the gaps of a tensor is not there any more when it was computed anew."""
    numbers = (*size, *strides, offset or 0, *e.shape(x))
    if 0 in size or not all(isinstance(n, int) for n in numbers):
        return
    last = (offset or 0) + sum((n - 1) * stride for n, stride in zip(size, strides))
    if last >= product(e.shape(x)):
        raise Unsupported("by strides, elements behind the last one")


def _memory_order(e: Emitter) -> list[int]:
    """The dimensions of the operand, outermost in memory first."""
    value = e.node.args[0].meta["val"]
    dense = torch.ops.aten.is_non_overlapping_and_dense(value)
    if not (value.numel() and dense) or value.storage_offset():
        raise Unsupported("by strides, a part of a larger memory: the rest is not at hand")
    return sorted(range(value.dim()), key=value.stride, reverse=True)


def _same_places(e: Emitter, size, stride) -> bool:
    """Whether each element stays where it is; a dimension of one element has any stride."""
    value = e.node.args[0].meta["val"]
    resolve = e.symbols.resolve
    shape, strides = [resolve(d) for d in value.shape], [resolve(d) for d in value.stride()]
    return shape == list(size) and all(d == 1 or a == b for d, a, b in zip(size, stride, strides))
