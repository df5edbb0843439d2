# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sorts, selections and searches against eager, with ties and NaN."""

from __future__ import annotations

import math

import buddy
import pytest
import torch
from buddy import UnsupportedOpError
from checking import assert_same, check, compiled

aten = torch.ops.aten
TIES = torch.tensor([[3, 1, 3, 2, 1, 1], [0, 0, 0, 0, 0, 0]])
NANS = torch.tensor([[2.0, math.nan, -math.inf, 1.0, math.nan], [1, 0, -0.0, math.inf, 5]])


def test_sort():
    def sort(x):
        return (*x.sort(0), *x.sort(1, descending=True), *x.sort(dim=-1, stable=True),
                x.argsort(0), x.msort())  # fmt: skip

    check(sort, (7, 33))
    check(sort, NANS)
    check(
        lambda x: (*x.sort(dim=1, stable=True), *x.sort(dim=1, stable=True, descending=True)), TIES
    )
    check(lambda x: x.sort(stable=True), (5,), dtype=torch.bool)
    check(lambda x: (*x.sort(), *x.sort(0)), (0,))
    check(lambda x: (*x.sort(), *x.topk(1)), ())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.uint8])
def test_long_rows(dtype):
    """Lengths beside powers of two, every one of them with ties but in f32."""

    def sort(x):
        return (*x.sort(dim=1, stable=True), *x.sort(dim=0, stable=True, descending=True))

    for shape in [(3, 127), (129, 2), (128, 1), (1, 1000)]:
        check(sort, shape, dtype=dtype)
    check(lambda x: x.sort(stable=True), (100,), dtype=torch.bool)
    check(lambda x: (*x.topk(5, 0), *x.median(0), *x.kthvalue(70, 0)), (100, 3))


def test_long_rows_with_nan():
    x = torch.randn(2, 100)
    x[:, ::7], x[:, ::9] = math.nan, math.inf
    check(lambda x: (*x.sort(stable=True), *x.sort(stable=True, descending=True)), x)


def test_rows_of_unknown_length():
    def sort(x):
        return (*x.sort(dim=0, stable=True), *x.sort(1, descending=True), *x.topk(2))

    run = torch.compile(
        sort, backend="buddy", fullgraph=True, dynamic=True, options={"fallback": False}
    )
    for shape in [(5, 6), (2, 300), (129, 3)]:
        x = torch.randn(shape)
        assert_same(run(x), sort(x))
    assert buddy.stats()["graphs"] == 1


def test_selections():
    def select(x):
        return (*x.topk(3), *x.topk(2, 0, largest=False), *x.kthvalue(2), *x.kthvalue(1, 0, True),
                *x.median(1), *x.median(0, True), x.median(), *x.nanmedian(1), x.nanmedian())  # fmt: skip

    check(select, (5, 6))
    check(lambda x: (x.median(), x.nanmedian(), *x.nanmedian(0)), NANS)
    check(lambda x: x.median(1).values, NANS)
    check(lambda x: (*x.median(0), *x.kthvalue(1)), ())


@pytest.mark.parametrize("dtype", [torch.int64, torch.bfloat16, torch.float16])
def test_positions_among_ties_are_eagers_own(dtype):
    x = TIES.to(dtype)
    for select in (lambda x: x.argsort(), lambda x: x.topk(2), lambda x: x.median(1)):
        with pytest.raises(UnsupportedOpError, match="choice is its own"):
            compiled(select)(x)
    check(
        lambda x: (x.topk(2).values, x.median(1).values, x.sort().values, x.kthvalue(2).values), x
    )


def test_unstable_sort_of_ties_groups_them():
    """The order of equal elements is nobody's promise: it is eager's own where it can be seen."""

    def grouped(keys, x):
        places = keys.sort(-1).indices
        return keys.gather(-1, places), x.gather(-1, places).gather(-1, places.argsort(stable=True))

    check(grouped, TIES, TIES.float())
    x = TIES.double().requires_grad_()
    (gradient,) = torch.autograd.grad(compiled(grouped)(TIES, x)[1].cos().sum(), x)
    torch.testing.assert_close(gradient, -x.sin())  # the positions go to the backward graph only
    with pytest.raises(UnsupportedOpError, match="choice is its own"):
        compiled(lambda x: x.argsort())(TIES)


def test_searches():
    table = torch.tensor([[1.0, 1.0, 2.0, 4.0, 7.0], [0.0, 2.0, 2.0, 2.0, 9.0]])
    values = torch.tensor([[1.0, 8.0, 2.0], [2.0, -1.0, math.nan]])
    sorter = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])

    def search(t, v, order):
        return (torch.searchsorted(t, v), torch.searchsorted(t, v, right=True),
                torch.searchsorted(t, v, side="right", out_int32=True),
                torch.searchsorted(t[0], 3.0), torch.searchsorted(t, v, sorter=order),
                torch.bucketize(v, t[0]), torch.bucketize(v, t[1], right=True))  # fmt: skip

    check(search, table, values, sorter)
    check(lambda t, v: torch.searchsorted(t, v), torch.arange(9), (4,), dtype=torch.int64)
    check(lambda t, v: torch.searchsorted(t, v), (0,), (4,))
