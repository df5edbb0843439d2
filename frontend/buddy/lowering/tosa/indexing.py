# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads at computed positions: tosa.gather, whose indices must be in range.

The check that they are (`check_range`) stays beside it: TOSA cannot count what it refuses.
"""

from __future__ import annotations

import math

import torch
from mlir.dialects import tosa

from ...types import TensorSpec
from ..bounds import check_range
from ..emitter import Emitter
from ..indexing import IndexBlock
from . import arithmetic as a
from .builder import NotTosa, cast, emit, reshape, slice_, tosa_lowers, transpose

aten = torch.ops.aten


def _clamped(e: Emitter, index, size: int):
    """An index that is safe to read at."""
    return a.minimum(e, a.maximum(e, index, 0), size - 1)


def _gathered(e: Emitter, values, indices):
    """values [N,K,C] at indices [N,W] → [N,W,C]."""
    spec = TensorSpec((*e.shape(indices), e.shape(values)[2]), e.dtype(values))
    return emit(e, tosa.GatherOp, spec, values, indices)


@tosa_lowers(aten.embedding.default)
def embedding(e: Emitter, weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """weight [V, D] at indices [...]; the last three arguments only matter to gradients."""
    check_range(e, indices, e.shape(weight)[0])
    return _rows(e, weight, _clamped(e, indices, e.shape(weight)[0]))


def _rows(e: Emitter, x, index):
    """x [K, ...] at index [...], which is in range: index's shape, then the rest of x's."""
    rows, *rest = e.shape(x)
    values = reshape(e, x, (1, rows, math.prod(rest)))
    found = _gathered(e, values, reshape(e, index, (1, math.prod(e.shape(index)))))
    return reshape(e, found, (*e.shape(index), *rest))


@tosa_lowers(aten.index_select.default)
def index_select(e: Emitter, x, dim, index):
    if e.rank(x) == 0:
        raise NotTosa("there is no dimension to select along")
    dim %= e.rank(x)
    size = e.shape(x)[dim]
    check_range(e, index, size)
    index = reshape(e, _clamped(e, index, size), e.out.shape[dim : dim + 1])
    front = [dim, *(d for d in range(e.rank(x)) if d != dim)]
    return transpose(e, _rows(e, transpose(e, x, front), index), _inverse(front))


def _inverse(order) -> list[int]:
    return sorted(range(len(order)), key=lambda d: order[d])


@tosa_lowers(aten.index.Tensor)
def index_tensor(e: Emitter, x, indices):
    """x[i, :, j]: the indexed dimensions as one, at the number that i and j make together."""
    if any(i is not None and e.dtype(i) == torch.bool for i in indices):
        raise NotTosa("a boolean index: the result's size depends on its values")
    for size, index in zip(e.shape(x), indices):
        if index is not None:
            check_range(e, index, size, negative=True)
    block = IndexBlock(e, x, indices)
    place = None
    for dim, index in zip(block.used, block.tensors):
        size, index = e.shape(x)[dim], cast(e, index, torch.int64)
        index = a.select(e, a.greater(e, 0, index), a.add(e, index, size), index)
        index = _clamped(e, index, size)
        place = index if place is None else a.add(e, a.mul(e, place, size), index)
    x = transpose(e, x, [*block.used, *block.kept])
    count = math.prod(e.shape(x)[: len(block.used)])
    found = _rows(e, reshape(e, x, (count, *block.rest)), place)
    return transpose(e, found, _inverse(block.to_front()))


@tosa_lowers(aten.gather.default)
def gather(e: Emitter, x, dim, index, *, sparse_grad=False):
    """x at index along dim, and at the place of the index itself along the others."""
    if e.rank(x) == 0:
        raise NotTosa("there is no dimension to gather along")
    dim %= e.rank(x)
    size = e.shape(x)[dim]
    check_range(e, index, size)
    index = _clamped(e, index, size)
    beside = [size if d == dim else n for d, n in enumerate(e.shape(index))]
    last = [*(d for d in range(e.rank(x)) if d != dim), dim]
    index = transpose(e, index, last)
    x = transpose(e, slice_(e, x, [0] * e.rank(x), beside), last)
    batch, shape = math.prod(e.shape(index)[:-1]), e.shape(index)
    values = reshape(e, x, (batch, size, 1))
    found = _gathered(e, values, reshape(e, index, (batch, shape[-1])))
    return transpose(e, reshape(e, found, shape), _inverse(last))
