# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops that the backend's own table takes apart, as graphs captured with another table have them."""

from __future__ import annotations

import pytest
import torch
from buddy import compilation
from checking import check

aten = torch.ops.aten


@pytest.fixture(autouse=True)
def no_decompositions(monkeypatch):
    monkeypatch.setattr(compilation, "decompositions", lambda training: {})


def test_elementwise():
    def mixed(x, y, m):
        return (aten.addcdiv(x, y, y.abs() + 1, value=0.5), aten.clamp_max(x, 0.2),
                aten.clamp_min(x, 0.2), aten.floor_divide(x, y), aten.masked_fill.Scalar(x, m, 7),
                aten.masked_fill.Tensor(x, m, y[1, 1]), aten.threshold_backward(x, y, 0.1))  # fmt: skip

    check(mixed, (4, 5), (4, 5), torch.rand(4, 1) > 0.5)
    nan = torch.tensor([float("nan"), 0.0, -1.0, 2.0])
    check(lambda g, x: aten.threshold_backward(g, x, 0), (4,), nan, dialect="tosa")


def test_reductions():
    def reduce(x):
        return (aten.sum.default(x), aten.all.default(x), aten.all.dim(x, 1),
                aten.logsumexp(x, [1]))  # fmt: skip

    check(reduce, (4, 5))
    check(lambda x: aten.logsumexp(x, [0]), torch.full((2, 3), float("-inf")))
    check(lambda x: (aten.all.dim(x > -1, 0, True), aten.sum.default(x)), (4, 5), dialect="tosa")


def test_factories():
    def make(x):
        return (aten.arange.default(5), aten.arange.start(2, 7), aten.ones([2, 3]),
                aten.zeros([3]), aten.ones_like(x), aten.zeros_like(x), aten.new_ones(x, [2]),
                aten.new_zeros(x, [2]), aten.new_full(x, [2], 7))  # fmt: skip

    check(make, (4,))


def test_tensors_without_contents():
    def make(x):
        return (aten.ones_like(aten.empty_permuted([2, 3], [0, 1])) + x,
                aten.ones_like(aten.empty_strided([2, 3], [3, 1])) + x)  # fmt: skip

    check(make, (3,))


def test_unsafe_index_put():
    i = torch.tensor([2, 0])
    check(lambda x, v, i: aten._unsafe_index_put(x, [i], v), (4, 3), (2, 3), i)


def test_shapes():
    def views(x):
        return (aten._unsafe_view(x, [5, 4]), aten.detach(x), aten.squeeze.default(x),
                aten.squeeze.dim(x, 1), aten.t(x[:, 0]), aten.transpose.int(x, 0, 2),
                *aten.split.Tensor(x, 3, 2), *aten.unbind.int(x, 2))  # fmt: skip

    check(lambda x: tuple(v + 1 for v in views(x)), (4, 1, 5))

    def of_tosa(x):
        return (aten._unsafe_view(x, [20]) + 1, aten.detach(x) + 1, aten.squeeze.dim(x[:1], 0) + 1,
                *(part + 1 for part in aten.split.Tensor(x, 3, 1)),
                torch.ops.prims.convert_element_type(x, torch.float16))  # fmt: skip

    check(of_tosa, (4, 5), dialect="tosa")


def test_products():
    check(lambda a, v: (aten.mv(a, v), aten.dot(v, v)), (5, 7), (7,))


def test_indexing():
    def read(x, i):
        return aten._unsafe_index(x, [i, i]), aten.select_scatter(x, x[:, 0], 1, -1)

    check(read, (4, 4), torch.tensor([0, 3, 1]))
