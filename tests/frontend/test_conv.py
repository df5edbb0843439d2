# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions against eager."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from checking import check


def test_conv2d():
    def convolve(x, w, b):
        return (F.conv2d(x, w, b), F.conv2d(x, w, stride=2, padding=1),
                F.conv2d(x, w, b, dilation=2, padding=(2, 1)), F.conv2d(x, w, b,
                padding="same"))  # fmt: skip

    check(convolve, (2, 3, 9, 11), (5, 3, 3, 3), (5,))
    check(lambda x, w: F.conv2d(x, w), (1, 3, 5, 5), (4, 3, 1, 1))


def test_groups():
    check(lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2), (2, 4, 7, 7), (6, 2, 3, 3), (6,))
    check(lambda x, w: F.conv2d(x, w, padding=1, groups=4), (2, 4, 7, 7), (4, 1, 3, 3))


def test_conv1d_and_conv3d():
    check(lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), (2, 3, 17), (5, 3, 3), (5,))
    check(lambda x, w: F.conv1d(x, w, groups=3), (2, 3, 17), (3, 1, 4))
    check(lambda x, w, b: F.conv3d(x, w, b, padding=1), (1, 2, 4, 5, 6), (3, 2, 3, 3, 3), (3,))


def test_transposed():
    def grow(x, w, b):
        return (F.conv_transpose2d(x, w, b), F.conv_transpose2d(x, w, stride=2, padding=1),
                F.conv_transpose2d(x, w, b, stride=3, output_padding=1))  # fmt: skip

    check(grow, (2, 3, 5, 6), (3, 4, 3, 3), (4,))


def test_empty_batch():
    check(lambda x, w, b: F.conv2d(x, w, b), (0, 3, 9, 9), (5, 3, 3, 3), (5,))


def test_half_precision():
    check(lambda x, w: F.conv2d(x, w, padding=1), (1, 3, 8, 8), (5, 3, 3, 3), dtype=torch.bfloat16)
