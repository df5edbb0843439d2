# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reshapes, permutations, boxes and joins."""

from __future__ import annotations

import torch

from ..emitter import Emitter
from ..shape import _clamped_start
from . import builder as b
from .builder import NotTosa, tosa_lowers

aten = torch.ops.aten


@tosa_lowers(aten.alias.default, aten.detach.default, aten.lift_fresh_copy.default)
def alias(e: Emitter, x):
    return x


@tosa_lowers(aten.clone.default)
def clone(e: Emitter, x, *, memory_format=None):
    return x


@tosa_lowers(aten.view.default, aten._unsafe_view.default)
def view(e: Emitter, x, size):
    return b.reshape(e, x, e.out.shape)


@tosa_lowers(aten.unsqueeze.default)
def unsqueeze(e: Emitter, x, dim):
    return b.reshape(e, x, e.out.shape)


@tosa_lowers(aten.squeeze.dim, aten.squeeze.dims)
def squeeze_dims(e: Emitter, x, dim):
    return b.reshape(e, x, e.out.shape)


@tosa_lowers(aten.permute.default)
def permute(e: Emitter, x, dims):
    return b.transpose(e, x, [d % e.rank(x) for d in dims])


@tosa_lowers(aten.expand.default)
def expand(e: Emitter, x, size, *, implicit=False):
    return b.expand(e, x, e.out.shape)


@tosa_lowers(aten.repeat.default)
def repeat(e: Emitter, x, repeats):
    x = b.ranked(e, x, e.out.rank, e.out.dtype)
    if e.shape(x) == e.out.shape:
        return x
    return b.emit(e, b.tosa.TileOp, e.out, x, b.shape_of(repeats))


@tosa_lowers(aten.slice.Tensor)
def slice_(e: Emitter, x, dim=0, start=None, end=None, step=1):
    if step != 1:
        raise NotTosa("tosa.slice has no stride")
    dim %= e.rank(x)
    return _box(e, x, dim, _clamped_start(e.shape(x)[dim], start), e.out.shape[dim])


def _box(e: Emitter, x, dim: int, first: int, count: int):
    """`count` elements of x along `dim`, from the one at `first`."""
    start, size = [0] * e.rank(x), list(e.shape(x))
    start[dim], size[dim] = first, count
    return b.slice_(e, x, start, size)


@tosa_lowers(aten.select.int)
def select(e: Emitter, x, dim, index):
    dim %= e.rank(x)
    if not isinstance(index, int):
        raise NotTosa("a position that depends on sizes")
    return b.reshape(e, _box(e, x, dim, index % e.shape(x)[dim], 1), e.out.shape)


@tosa_lowers(aten.split_with_sizes.default)
def split_with_sizes(e: Emitter, x, sizes, dim=0):
    return _split(e, x, dim)


@tosa_lowers(aten.split.Tensor)
def split(e: Emitter, x, size, dim=0):
    return _split(e, x, dim)


def _split(e: Emitter, x, dim: int):
    """Consecutive boxes along `dim`, as long as the results say; those that are read."""
    dim, parts, first = dim % e.rank(x), [], 0
    for number, spec in enumerate(e.out):
        count = spec.shape[dim]
        parts.append(_box(e, x, dim, first, count) if number in e.read else None)
        first += count
    return tuple(parts)


@tosa_lowers(aten.cat.default)
def cat(e: Emitter, tensors, dim=0):
    return b.concat(e, [b.cast(e, x, e.out.dtype) for x in tensors], dim % e.out.rank, e.out)


@tosa_lowers(aten.stack.default)
def stack(e: Emitter, tensors, dim=0):
    dim %= e.out.rank
    shape = [1 if i == dim else d for i, d in enumerate(e.out.shape)]
    parts = [b.reshape(e, b.cast(e, x, e.out.dtype), shape) for x in tensors]
    return b.concat(e, parts, dim, e.out)


@tosa_lowers(aten.constant_pad_nd.default)
def constant_pad_nd(e: Emitter, x, pad, value=0):
    """`pad` lists (low, high) from the last dimension to the first; negative ones crop."""
    rank = e.rank(x)
    if not all(isinstance(p, int) for p in pad):
        raise NotTosa("padding that depends on sizes")
    low, high = [0] * rank, [0] * rank
    for i in range(len(pad) // 2):
        low[rank - 1 - i], high[rank - 1 - i] = pad[2 * i], pad[2 * i + 1]
    return b.pad(e, x, low, high, value)
