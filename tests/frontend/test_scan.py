# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums, products and extrema against eager."""

from __future__ import annotations

import math

import pytest
import torch
from checking import check


def scans(x):
    return (x.cumsum(0), x.cumsum(-1), x.cumprod(0), x.cumprod(1), *x.cummax(0), *x.cummax(1),
            *x.cummin(0), *x.cummin(1))  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 7), (1, 33), (300, 3), (2, 65), (0, 4)])
def test_shapes(shape):
    check(scans, shape, tolerance=(1e-4, 1e-4))
    check(lambda x: x.logcumsumexp(0), shape)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.uint8, torch.float64])
def test_dtypes(dtype):
    check(lambda x: (x.cumsum(1), x.cumprod(0)), (3, 5), dtype=dtype)
    check(lambda x: x.cumsum(1, dtype=torch.float32), (3, 5), dtype=dtype)


def test_half_precision_adds_in_f32():
    check(lambda x: x.cumsum(0), (500, 4), dtype=torch.bfloat16, tolerance=(0.2, 2e-2))


def test_special_values_and_ties():
    inf, nan = math.inf, math.nan
    x = torch.tensor(
        [[1.0, nan, 2.0, nan, 0.0], [3.0, 3.0, -inf, inf, inf], [-inf, -inf, 1, 1, -1]]
    )
    check(lambda x: (*x.cummax(1), *x.cummin(1), x.cumsum(1), x.logcumsumexp(1)), x)


def test_sums_that_leave_the_range_and_come_back():
    """Running sums and products of f32 are in f64, as eager's are."""
    most = torch.finfo(torch.float32).max
    x = torch.tensor([[most, most, -most, -most, 1.0], [1e30, 1e30, 1e-30, 1e-30, 3.0]])
    check(lambda x: (x.cumsum(1), x.cumprod(1)), x)


def test_rank_0_and_a_transposed_view():
    check(lambda x: (x.cumsum(0), x.cumprod(0), *x.cummax(0), x.logcumsumexp(0)), ())
    check(lambda x: x.cumsum(1), torch.randn(6, 40).t())


def test_scan_of_several_batches_before_a_mask():
    """The sums start from zeros also where dimensions are merged."""

    def decays(x):
        hidden = torch.ones(3, 3, dtype=torch.bool).tril().logical_not()
        return x.cumsum(-2).masked_fill(hidden, -torch.inf).exp().permute(0, 3, 2, 1) * 2

    for _ in range(3):  # in memory that was used before
        check(decays, (2, 8, 3, 3))
