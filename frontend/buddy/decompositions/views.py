# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Views that speak of memory, as reads of values."""

from __future__ import annotations

import torch

from .registry import decomposes

aten = torch.ops.aten


@decomposes(aten.as_strided.default)
def as_strided(x, size, stride, storage_offset=None):
    """The elements of x in the order of its memory, at `storage_offset` + Σ index · stride.

    Only where x is all of its memory: of a part of a larger one the rest is not at hand.
    """
    if not _is_whole(x):
        return NotImplemented
    if not storage_offset and _same_places(x, size, stride):
        return aten.alias(x)
    return torch.take(_in_memory_order(x), _places(x, size, stride, storage_offset))


@decomposes(aten.as_strided_scatter.default)
def as_strided_scatter(x, src, size, stride, storage_offset=None):
    """x with `src` written to the elements that `as_strided` would read."""
    if not _is_whole(x):
        return NotImplemented
    if not storage_offset and _same_places(x, size, stride):
        return aten.copy(x, src)
    flat = _in_memory_order(x)
    places = _places(x, size, stride, storage_offset)
    written = flat.scatter(0, places.reshape(-1), src.reshape(-1))
    order = _memory_order(x)
    inverse = sorted(range(x.dim()), key=order.__getitem__)
    return written.reshape([x.shape[d] for d in order]).permute(inverse)


def _is_whole(x) -> bool:
    """Whether x is all of its memory, every element once."""
    whole = x.numel() and not x.storage_offset()
    return bool(whole) and aten.is_non_overlapping_and_dense(x)


def _memory_order(x) -> list[int]:
    """The dimensions of x, outermost in memory first."""
    return sorted(range(x.dim()), key=x.stride, reverse=True)


def _in_memory_order(x):
    return x.permute(_memory_order(x)).reshape(-1)


def _places(x, size, stride, storage_offset):
    """Where in x's memory each element of a view by strides is: [*size]."""
    place = torch.full([1] * len(size), storage_offset or 0, device=x.device)
    for d, (extent, step) in enumerate(zip(size, stride)):
        shape = [extent if i == d else 1 for i in range(len(size))]
        place = place + (torch.arange(extent, device=x.device) * step).view(shape)
    return place


def _same_places(x, size, stride) -> bool:
    """Whether each element stays where it is; a dimension of one element has any stride."""
    if list(x.shape) != list(size):
        return False
    return all(d == 1 or a == b for d, a, b in zip(size, stride, x.stride()))
