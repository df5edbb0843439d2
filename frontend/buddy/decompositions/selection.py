# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that are chosen or counted by their values, where the result's size is known."""

from __future__ import annotations

import math

import torch

from .registry import decomposes

aten = torch.ops.aten


@decomposes(aten.nonzero_static.default)
def nonzero_static(x, *, size, fill_value=-1):
    """Positions of the first `size` elements that are not 0; rows beyond them are filled."""
    if x.dim() == 0 or x.numel() == 0 or size == 0:
        return NotImplemented
    chosen = (x != 0).flatten()
    number = chosen.cumsum(0) - 1
    place = torch.where(chosen & (number < size), number, size)
    count = x.numel()
    none = torch.full((size + 1,), count, dtype=torch.int64, device=x.device)
    flat = none.scatter(0, place, torch.arange(count, device=x.device))[:size]
    found, columns = flat < count, []
    for extent in reversed(x.shape):
        columns.append(flat % extent)
        flat = torch.div(flat, extent, rounding_mode="floor")
    positions = torch.stack(columns[::-1], 1)
    return torch.where(found.unsqueeze(1), positions, fill_value)


@decomposes(aten.mode.default)
def mode(x, dim=-1, keepdim=False):
    """The smallest of the most frequent values along dim, and the last place where it stands."""
    if x.dim() == 0:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    size, dim = x.shape[dim], dim % x.dim()
    values, places = x.sort(stable=True, dim=dim)
    number = torch.arange(size, device=x.device).view([-1, *[1] * (x.dim() - 1 - dim)])
    begins = (number == 0) | (values != values.roll(1, dim))
    since = torch.where(begins, number, 0).cummax(dim).values
    best = (number - since).argmax(dim, keepdim=True)
    value, place = values.gather(dim, best), places.gather(dim, best)
    return (value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim))


@decomposes(aten.histc.default)
def histc(x, bins=100, min=0, max=0):  # noqa: A002 - the schema's names
    """Elements in each of `bins` equal parts of [min, max]; of x's own range where they agree."""
    if x.numel() == 0 or not x.is_floating_point():
        return NotImplemented
    x = x.flatten()
    low, high = torch.full_like(x[:1], min), torch.full_like(x[:1], max)
    if min == max:
        low, high = x.amin().unsqueeze(0), x.amax().unsqueeze(0)
        single = low == high
        low, high = torch.where(single, low - 1, low), torch.where(single, high + 1, high)
    inside = (x >= low) & (x <= high)
    place = ((x - low) / (high - low) * bins).to(torch.int64).clamp(0, bins - 1)
    place = torch.where(inside, place, bins)
    counts = torch.zeros(bins + 1, dtype=x.dtype, device=x.device)
    return counts.scatter_add(0, place, torch.ones_like(x))[:bins]


@decomposes(aten.masked_scatter_backward.default)
def masked_scatter_backward(grad_output, mask, sizes):
    """The gradient of a source [sizes] of `masked_scatter`: the n-th true element's is its n-th."""
    count = math.prod(sizes)
    chosen = mask.expand_as(grad_output).flatten()
    place = torch.where(chosen, chosen.cumsum(0) - 1, count).clamp(max=count)
    gradient = grad_output.new_zeros(count + 1)
    return gradient.scatter(0, place, grad_output.flatten())[:count].reshape(sizes)
