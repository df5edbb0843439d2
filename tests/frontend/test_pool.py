# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pooling against eager."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from checking import check


def test_max_pool():
    def pool(x):
        return (F.max_pool2d(x, 2), F.max_pool2d(x, 3, 2, 1),
                *F.max_pool2d(x, 3, 2, 1, return_indices=True),
                F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.max_pool2d(x, (2, 3),
                dilation=2))  # fmt: skip

    check(pool, (2, 3, 9, 11))
    check(lambda x: F.max_pool2d(x, 2), (3, 8, 8))


def test_max_pool_of_special_values():
    x = torch.randn(1, 1, 6, 6)
    x[0, 0, 1, 1], x[0, 0, 4:, 4:] = float("nan"), float("-inf")
    check(lambda x: F.max_pool2d(x, 2, return_indices=True), x)
    check(lambda x: F.max_pool2d(x, 2), x)


def test_average_pool():
    def pool(x):
        return (F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1),
                F.avg_pool2d(x, 2, divisor_override=3), F.adaptive_avg_pool2d(x, (2, 3)),
                F.adaptive_avg_pool2d(x, 1))  # fmt: skip

    check(pool, (2, 3, 8, 12))


def test_average_pool_at_the_border():
    def pool(x):
        return (F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, 2, ceil_mode=True),
                F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
                F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
                F.avg_pool1d(x[0], 3, 2, 1), F.adaptive_avg_pool2d(x, (3, 5)))  # fmt: skip

    check(pool, (2, 3, 7, 9))
    check(pool, (2, 3, 7, 9), dtype=torch.bfloat16)


def test_volumes():
    def pool(x):
        return (*F.max_pool3d(x, 3, 2, 1, return_indices=True), F.max_pool3d(x, 2),
                F.avg_pool3d(x, 2), F.avg_pool3d(x, 3, 2, 1, count_include_pad=False),
                F.adaptive_avg_pool3d(x, (2, 3, 2)), F.avg_pool3d(x, (4, 2, 3)))  # fmt: skip

    check(pool, (2, 3, 5, 7, 6))


def test_adaptive_max_pool():
    def pool(x):
        return (*F.adaptive_max_pool2d(x, (3, 4), return_indices=True),
                *F.adaptive_max_pool1d(x[0], 4, return_indices=True),
                F.adaptive_max_pool2d(x, 1))  # fmt: skip

    check(pool, (2, 3, 7, 9))
    check(lambda x: F.adaptive_max_pool3d(x, 2, return_indices=True), (2, 3, 5, 4, 3))
    x = torch.randn(1, 1, 5, 5)
    x[0, 0, 1, 1], x[0, 0, 3:, 3:] = float("nan"), float("-inf")
    check(lambda x: F.adaptive_max_pool2d(x, 3, return_indices=True), x)
