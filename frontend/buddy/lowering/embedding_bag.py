# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums, means and maxima of bags of rows of an embedding."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith

from ..types import TensorSpec, compute_dtype
from . import scalar as s
from .bounds import check_range, last_of
from .emitter import Emitter
from .indexing import as_index, gather_elements
from .reduction import lowest
from .registry import Unsupported, lowers
from .scatter import scatter_rows
from .sorting import search

aten = torch.ops.aten
SUM, MEAN, MAX = range(3)


@lowers(aten._embedding_bag.default, aten._embedding_bag_forward_only.default)
def embedding_bag(
    e: Emitter,
    weight,
    indices,
    offsets,
    scale_grad_by_freq=False,
    mode=SUM,
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=-1,
):
    """weight [V,D], indices [N], offsets [B], one more if the last one is included: [B,D].

    The other results serve eager's gradient alone; ours finds the bags again.
    """
    out = e.out[0]
    if e.read - {0}:
        raise Unsupported("what eager keeps of bags for their gradient")
    if e.is_empty(out) or e.is_empty(e.spec(indices)):
        return e.full(out, 0), None, None, None
    check_range(e, indices, e.shape(weight)[0])
    count, wide = e.shape(indices)[0], compute_dtype(out.dtype)
    bags = _bags(e, indices, offsets, padding_idx)
    rows = _rows(e, weight, indices, per_sample_weights, wide)
    start = lowest(wide) if mode == MAX else 0
    total = e.full(out.with_dtype(wide), start)
    total = scatter_rows(e, total, bags, rows, "max" if mode == MAX else "add")
    if mode == SUM:
        return e.cast(total, out.dtype), None, None, None
    ones = e.full(TensorSpec((count, 1), torch.int64), 1)
    sizes = e.full(TensorSpec((out.shape[0], 1), torch.int64), 0)
    sizes = scatter_rows(e, sizes, bags, ones, "add")

    def finish(value, size):
        """An empty bag is 0."""
        if mode == MAX:
            return s.select(s.is_true(size), value, s.like(0, value))
        size = s.maximum(size, s.like(1, size))
        return arith.divf(value, s.cast(size, torch.int64, wide))

    return e.pointwise(finish, total, sizes, out=out, keep=(1,)), None, None, None


def _bags(e: Emitter, indices, offsets, padding_idx: int):
    """For each index the bag it lies in [N], as i64; -1, which counts nowhere, for padding."""
    spec = e.spec(indices).with_dtype(torch.int64)
    kind = ir.IntegerType.get_signless(64)
    places = e.map(lambda: arith.index_cast(kind, s.loop_index(0)), [], spec)
    started = search(e, offsets, places, spec, right=True)

    def bag(number, index):
        padding = s.compare("eq", index, s.like(padding_idx, index))
        return s.select(padding, s.like(-1, number), s.sub(number, s.like(1, number)))

    return e.map(bag, [started, indices], spec)


def _rows(e: Emitter, weight, indices, scales, wide: torch.dtype):
    """weight[indices] [N,D] in `wide`, each row times its scale."""
    count = e.shape(indices)[0]
    spec = TensorSpec((count, e.shape(weight)[1]), e.dtype(weight))
    column = e.reshape(indices, (count, 1))
    last = last_of(e, e.shape(weight)[0])
    rows = gather_elements(
        e, weight, lambda loops, i: [as_index(i, last), loops[1]], [column], spec
    )
    rows = e.cast(rows, wide)
    if scales is None:
        return rows
    return e.pointwise(s.mul, rows, e.reshape(scales, (count, 1)), out=e.spec(rows))
