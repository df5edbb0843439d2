# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions against eager."""

from __future__ import annotations

import pytest
import torch
from checking import check

aten = torch.ops.aten


@pytest.mark.parametrize("shape", [(4, 5, 17), (1, 3, 1)], ids=str)
def test_sums_and_extrema(shape):
    def reduce(x):
        return (x.sum(), x.sum(1), x.sum((0, 2)), x.sum(-1, keepdim=True), x.mean(),
                x.mean((1, 2)), x.mean(0, keepdim=True), x.amax(1), x.amin((0, 1)), x.amax(),
                x.max(), x.min(), x.prod(), x.prod(1), x.argmax(), x.argmax(1), x.argmin(2),
                x.argmax(1, keepdim=True), *x.max(1), *x.min(0, keepdim=True), x.any(),
                x.all(), x.any(1), x.all(0), (x > 0).any(1), (x > -1).all((0, 1)),
                x.logsumexp(1), x.logsumexp((0, 1), keepdim=True), aten.any.dims(x, [0, 1]),
                x.cumsum(0), x.cumsum(-1))  # fmt: skip

    check(reduce, shape)


def test_variances():
    def spread(x):
        return (x.var(), x.var(1), x.var((0, 2), keepdim=True), x.var(1, correction=0),
                x.std(2), *torch.var_mean(x, 1, correction=0), *torch.std_mean(x, 0))  # fmt: skip

    check(spread, (4, 5, 17))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_spread_of_numbers_whose_squares_overflow(dtype):
    def spread(x):
        return (x.std(1), *torch.std_mean(x, 0), x.var(1), (x * 1e-38).var())

    # The sum of a row overflows as well.
    check(spread, (torch.arange(170.0).reshape(5, 34) * 1.9e36).to(dtype))


def test_sum_of_one_number_that_others_read():
    """It is added once, however many loops read it."""
    check(lambda x: (x.mean() + torch.zeros(3, 5)).sum(0), ())
    check(lambda x: torch.lerp(x.sum(), x.new_zeros(3), 0.25).sum(0, keepdim=True), ())


def test_rank_0_and_size_0():
    check(lambda x: (x.sum(), x.mean(), x.amax(), x.argmax(), x.cumsum(0), x.any(), x.sum(0)), ())
    check(lambda x: (x.sum(), x.sum(0), x.sum(1), x.prod(), x.any(), x.all(), x.cumsum(0)), (0, 4))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_integers(dtype):
    def reduce(x):
        return (x.sum(), x.sum(1), x.prod(0), x.any(0), x.all(1), x.cumsum(1), x.amax(1),
                x.amin(0), x.sum(1, dtype=torch.float32))  # fmt: skip

    check(reduce, (4, 5), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types(dtype):
    check(lambda x: (x.sum(1), x.mean(0), x.amax(1), x.var(1), x.sum()), (6, 65), dtype=dtype)


@pytest.mark.parametrize("dynamic", [False, True])
def test_long_sums_keep_their_digits(dynamic):
    """As near to the sum in f64 as eager, but for the rounding of the result."""

    def sums(x):
        return x.sum(0), x.sum(1), x.sum((1, 2)), x.sum((0, 2)), x.sum(), (x * x).mean((0, 1))

    x = torch.rand(2, 20_000, 33)
    compiled = torch.compile(sums, backend="buddy", dynamic=dynamic, options={"fallback": False})
    for actual, eager, exact in zip(compiled(x), sums(x), sums(x.double())):
        error, allowed = (actual - exact).abs().max(), (eager - exact).abs().max()
        assert error <= 2 * allowed + torch.finfo(x.dtype).eps * exact.abs().max()


def test_nan_and_infinity():
    x = torch.tensor([[1.0, float("nan"), 3.0], [float("inf"), 2.0, 1.0], [float("-inf")] * 3])
    check(lambda x: (x.amax(1), x.amin(1), x.argmax(1), x.argmin(1), x.max(1), x.logsumexp(1))[:4]
          + (x.logsumexp(1),), x)  # fmt: skip


@pytest.mark.parametrize("width", [1, 15, 16, 40, 64, 100])
@pytest.mark.parametrize("place", [0, -1])
def test_nan_anywhere(width, place):
    x = torch.randn(7, width)
    x[3, place] = float("nan")
    check(lambda x: (x.amax(1), x.amin(1), x.amax(0), x.amin(), x.clamp(-1, 1), x.relu()), x)
    check(lambda x: (torch.maximum(x[3], x[2]), torch.minimum(x[2], x[3])), x)


@pytest.mark.parametrize("shape", [(300, 300), (3, 50_000), (51_000,), (40_009,), (2, 3, 20, 999)])
def test_few_results_of_many_elements(shape):
    """What threads share in parts, those that divide evenly and those that do not."""
    check(lambda x: (x.sum(), x.amax(), x.abs().mean(-1), (x > 2).any(), x.argmin()), shape)
    check(lambda x: (x.sum(), x.prod(), x.amin()), torch.ones(shape, dtype=torch.int64))
