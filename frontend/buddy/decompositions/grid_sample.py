# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Samples of an image or a volume at the positions of a grid, and the gradients of both.

A sample is a sum of elements, its taps: along each spatial dimension one, two or four of them,
whose weights multiply. Everything is computed in f32 at least.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import torch

from .registry import decomposes

aten = torch.ops.aten
LINEAR, NEAREST, CUBIC = range(3)
ZEROS, BORDER, REFLECTION = range(3)
CUBIC_SLOPE = -0.75  # at distance 1, as in torch


@dataclass
class _Tap:
    """Of each sample [N,1,…] an element along one dimension, its weight, and the weight's slope
    over the grid's coordinate."""

    place: torch.Tensor  # i64; 0 where the tap lies outside
    inside: torch.Tensor
    weight: torch.Tensor
    slope: torch.Tensor


@decomposes(aten.grid_sampler_2d.default, aten.grid_sampler_3d.default)
def grid_sampler(x, grid, interpolation_mode, padding_mode, align_corners):
    """x [N,C,…] at grid [N,out…,D], whose last dimension counts x's backwards: [N,C,out…]."""
    axes = _axes(x, grid, interpolation_mode, padding_mode, align_corners)
    wide = x.to(_wide(x))
    taps = list(itertools.product(*axes))
    return sum(_elements(wide, t) * math.prod(tap.weight for tap in t) for t in taps).to(x.dtype)


@decomposes(aten.grid_sampler_2d_backward.default, aten.grid_sampler_3d_backward.default)
def grid_sampler_backward(
    grad_output, x, grid, interpolation_mode, padding_mode, align_corners, output_mask
):
    axes = _axes(x, grid, interpolation_mode, padding_mode, align_corners)
    grad = grad_output.to(_wide(x))
    grad_x = grad_grid = None
    if output_mask[0]:
        grad_x = _gradient_of_elements(grad, x, axes).to(x.dtype)
    if output_mask[1] and interpolation_mode == NEAREST:
        grad_grid = torch.zeros_like(grid, memory_format=torch.contiguous_format)
    elif output_mask[1]:
        grad_grid = _gradient_of_positions(grad, x.to(_wide(x)), axes).to(grid.dtype)
    return grad_x, grad_grid


def _wide(x) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _gradient_of_elements(grad, x, axes):
    """Each tap's share of grad [N,C,out…] to the element it read: rows of channels."""
    (images, channels), sizes = x.shape[:2], x.shape[2:]
    rows = grad.movedim(1, -1).reshape(-1, channels)
    total = grad.new_zeros(images * math.prod(sizes), channels)
    for taps in itertools.product(*axes):
        place = _numbers(images, 0, grad)
        for tap, size in zip(taps, sizes):
            place = place * size + tap.place
        weight = torch.where(_inside(taps), math.prod(tap.weight for tap in taps), 0)
        total = total.index_add(0, place.reshape(-1), rows * weight.reshape(-1, 1))
    return total.view(images, *sizes, channels).movedim(-1, 1).contiguous()


def _gradient_of_positions(grad, x, axes):
    """[N,out…,D]: along each dimension the weights' slopes take the place of the weights."""
    columns = []
    for along in range(len(axes)):
        slopes = 0
        for taps in itertools.product(*axes):
            factors = [t.slope if d == along else t.weight for d, t in enumerate(taps)]
            slopes = slopes + _elements(x, taps) * math.prod(factors)
        columns.append((grad * slopes).sum(1))
    return torch.stack(columns[::-1], -1)


def _elements(x, taps):
    """What the taps read of every channel: [N,C,out…]; 0 outside, even where a weight is NaN."""
    images, channels = (_numbers(x.shape[d], d, taps[0].place) for d in (0, 1))
    found = aten._unsafe_index(x, [images, channels, *(tap.place for tap in taps)])
    return torch.where(_inside(taps), found, 0)


def _inside(taps):
    return functools.reduce(torch.logical_and, (tap.inside for tap in taps))


def _numbers(count, dim: int, like):
    """0…count − 1 along one of as many dimensions as `like` has."""
    shape = [count if d == dim else 1 for d in range(like.dim())]
    return torch.arange(count, device=like.device).view(shape)


def _axes(x, grid, interpolation: int, padding: int, align: bool) -> list[list[_Tap]]:
    """The taps of each spatial dimension of x."""
    grid, axes = grid.to(_wide(x)).unsqueeze(1), []
    for dim, size in enumerate(x.shape[2:]):
        position, slope = _position(grid[..., grid.shape[-1] - 1 - dim], size, align)
        if interpolation != CUBIC:
            position, fold = _folded(position, size, padding, align)
            slope = slope * fold
        if interpolation == NEAREST:
            found = [(position.round(), torch.ones_like(position), torch.zeros_like(position))]
        else:
            found = (_linear if interpolation == LINEAR else _cubic)(position)
        if interpolation == CUBIC:  # which folds every tap of its own
            found = [(_folded(p, size, padding, align)[0], w, s) for p, w, s in found]
        axes.append([_tap(place, weight, rise * slope, size) for place, weight, rise in found])
    return axes


def _tap(place, weight, slope, size) -> _Tap:
    inside = (place >= 0) & (place <= size - 1)  # not so of NaN
    return _Tap(torch.where(inside, place, 0).to(torch.int64), inside, weight, slope)


def _position(coordinate, size, align: bool):
    """Where −1…1 lies among 0…size − 1, from center to center or from edge to edge; the slope."""
    if align:
        return (coordinate + 1) * ((size - 1) / 2), (size - 1) / 2
    return (coordinate + 1) * (size / 2) - 0.5, size / 2


def _folded(position, size, padding: int, align: bool):
    """The position that the padding stands for, and its slope, which is 0 from the edge on."""
    slope = torch.ones_like(position)
    if padding == ZEROS:
        return position, slope
    if padding == REFLECTION:
        position, slope = _reflected(position, size, align)
    inside = (position > 0) & (position < size - 1)
    return position.clamp(0, size - 1), torch.where(inside, slope, 0)


def _reflected(position, size, align: bool):
    """The position between two mirrors: at the outer elements' centers, or at their edges."""
    low, span = (0.0, size - 1) if align else (-0.5, size)
    if isinstance(span, int) and span == 0:
        return torch.zeros_like(position), torch.zeros_like(position)
    away = (position - low).abs()
    away = away - (away / (2 * span)).floor() * (2 * span)
    back = away > span
    slope = torch.where(back ^ (position < low), -1.0, 1.0).to(position.dtype)
    return torch.where(back, 2 * span - away, away) + low, slope


def _linear(position):
    base = position.floor()
    part, one = position - base, torch.ones_like(position)
    return [(base, 1 - part, -one), (base + 1, part, one)]


def _cubic(position):
    """Four taps of the cubic convolution."""
    base = position.floor()
    part = position - base
    first, second = part, 1 - part
    return [
        (base - 1, _far(first + 1), _far_slope(first + 1)),
        (base, _near(first), _near_slope(first)),
        (base + 1, _near(second), -_near_slope(second)),
        (base + 2, _far(second + 1), -_far_slope(second + 1)),
    ]


def _near(x):
    """The kernel at distances below 1."""
    a = CUBIC_SLOPE
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _near_slope(x):
    a = CUBIC_SLOPE
    return (3 * (a + 2) * x - 2 * (a + 3)) * x


def _far(x):
    """The kernel at distances from 1 to 2."""
    a = CUBIC_SLOPE
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def _far_slope(x):
    a = CUBIC_SLOPE
    return (3 * a * x - 10 * a) * x + 8 * a
