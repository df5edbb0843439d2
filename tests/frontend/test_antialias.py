# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Resampling through a widened filter, and its gradients, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import check
from test_gradients import check_gradients

MODES = ("bilinear", "bicubic", "lanczos")


def resized(x, mode):
    """Smaller, larger, one of each, by a factor, and to corners that stay where they are."""
    options = {"mode": mode, "antialias": True}
    made = [F.interpolate(x, size, **options) for size in ((3, 4), (9, 17), (12, 5), (1, 1))]
    made.append(F.interpolate(x, scale_factor=(0.4, 1.7), recompute_scale_factor=False, **options))
    if mode != "lanczos":
        made += [F.interpolate(x, s, align_corners=True, **options) for s in ((3, 20), (1, 4))]
    return tuple(made)


@pytest.mark.parametrize("mode", MODES)
def test_images(mode):
    check(lambda x: resized(x, mode), (2, 3, 8, 11))


@pytest.mark.parametrize("mode", MODES)
def test_gradients(mode):
    check_gradients(lambda x: resized(x, mode), (2, 2, 8, 11))


def test_sizes_that_are_known_later():
    def half(x):
        return F.interpolate(x, (x.shape[2] // 2, 13), mode="bilinear", antialias=True)

    later = torch.compile(half, backend="buddy", dynamic=True, options={"fallback": False})
    for height, width in ((8, 11), (13, 30)):
        x = torch.randn(1, 3, height, width)
        with torch.no_grad():
            torch.testing.assert_close(later(x), half(x), atol=2e-5, rtol=2e-5)
