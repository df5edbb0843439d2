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
    if not x.numel() or x.storage_offset() or not aten.is_non_overlapping_and_dense(x):
        return NotImplemented
    offset = storage_offset or 0
    if offset == 0 and _same_places(x, size, stride):
        return aten.alias(x)
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    flat = x.permute(order).reshape(-1)
    place = torch.full([1] * len(size), offset, device=x.device)
    for d, (extent, step) in enumerate(zip(size, stride)):
        shape = [extent if i == d else 1 for i in range(len(size))]
        place = place + (torch.arange(extent, device=x.device) * step).view(shape)
    return torch.take(flat, place)


def _same_places(x, size, stride) -> bool:
    """Whether each element stays where it is; a dimension of one element has any stride."""
    if list(x.shape) != list(size):
        return False
    return all(d == 1 or a == b for d, a, b in zip(size, stride, x.stride()))
