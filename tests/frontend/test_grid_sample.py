# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Samples at the positions of a grid, and their gradients, against eager."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from checking import check
from test_gradients import check_gradients

PADDINGS = ("zeros", "border", "reflection")
PLANE, VOLUME = (2, 3, 5, 6), (2, 2, 4, 3, 5)


def grid(*shape, dtype=torch.float32):
    """Positions of which a third lie outside, some of them far."""
    return torch.randn(shape, dtype=dtype)


def in_every_mode(x, positions, modes):
    return tuple(
        F.grid_sample(x, positions, mode, padding, align)
        for mode, padding, align in itertools.product(modes, PADDINGS, (False, True))
    )


def test_planes():
    check(lambda x, g: in_every_mode(x, g, ("bilinear", "nearest", "bicubic")),
          PLANE, grid(2, 4, 3, 2))  # fmt: skip
    check(lambda x, g: in_every_mode(x, g, ("bilinear", "bicubic")), (1, 1, 1, 1), grid(1, 7, 1, 2))


def test_volumes():
    check(lambda x, g: in_every_mode(x, g, ("bilinear", "nearest")), VOLUME, grid(2, 3, 2, 4, 3))


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_gradients_of_planes(mode, padding, align):
    check_gradients(lambda x, g: F.grid_sample(x, g, mode, padding, align), PLANE, (2, 4, 3, 2))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_gradients_of_volumes(mode, padding):
    def both(x, g):
        return F.grid_sample(x, g, mode, padding, False), F.grid_sample(x, g, mode, padding, True)

    check_gradients(both, VOLUME, (2, 3, 2, 2, 3))


def test_gradient_of_one_argument():
    check_gradients(lambda x, g: F.grid_sample(x, g), PLANE, grid(2, 4, 3, 2))
    check_gradients(lambda g, x: F.grid_sample(x, g), (2, 4, 3, 2), torch.randn(PLANE))


def test_positions_that_are_no_numbers():
    positions = torch.tensor([float("nan"), float("inf"), 1e30, 0.0])[None, None, :, None]
    check(lambda x, g: F.grid_sample(x, g.expand(1, 1, 4, 2)), (1, 2, 3, 4), positions)


def test_sizes_that_are_known_later():
    def sample(x, g):
        return in_every_mode(x, g, ("bilinear", "bicubic"))

    later = torch.compile(sample, backend="buddy", dynamic=True, options={"fallback": False})
    for height, width, points in ((5, 6, 3), (7, 4, 5)):
        x, g = torch.randn(2, 3, height, width), grid(2, 4, points, 2)
        with torch.no_grad():
            torch.testing.assert_close(later(x, g), sample(x, g), atol=2e-5, rtol=2e-5)


def test_half_precision():
    """Positions are computed in f32: at least as close to the f64 result as eager is."""
    x, g = torch.randn(PLANE), grid(2, 4, 3, 2)
    exact = F.grid_sample(x.bfloat16().double(), g.bfloat16().double())
    narrow = torch.compile(F.grid_sample, backend="buddy", options={"fallback": False})
    with torch.no_grad():
        torch.testing.assert_close(
            narrow(x.bfloat16(), g.bfloat16()).double(), exact, atol=1e-2, rtol=1e-2
        )
