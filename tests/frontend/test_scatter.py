# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes at computed positions, colliding ones among them, against eager."""

from __future__ import annotations

import pytest
import torch
from buddy import UnsupportedOpError
from checking import check, compiled

aten = torch.ops.aten
INDEX = torch.tensor([[0, 1, 2], [2, 2, 0]])


def test_scatters():
    def write(x, src, i):
        return (x.scatter(1, i, src), x.scatter_add(1, i, src), x.scatter(1, i, 7.0),
                x.scatter(0, i % 2, src), x.scatter(1, i, src, reduce="multiply"),
                x.scatter(1, i, 2.0, reduce="add"))  # fmt: skip

    check(write, (2, 5), (2, 3), INDEX)
    check(write, (2, 5), (2, 3), INDEX, dtype=torch.int64)
    check(
        lambda x, s, i: x.scatter_add(0, i, s), (70, 33), (300, 33), torch.randint(0, 70, (200, 20))
    )
    check(lambda x, s, i: x.scatter_add(1, i, s), (2, 5), (2, 3), INDEX, dtype=torch.bfloat16)


@pytest.mark.parametrize("include_self", [True, False])
def test_reductions(include_self):
    def reduce(x, src, i):
        return tuple(x.scatter_reduce(1, i, src, how, include_self=include_self)
                     for how in ("sum", "prod", "mean", "amax", "amin"))  # fmt: skip

    check(reduce, (2, 5), (2, 3), INDEX)
    check(reduce, (2, 5), (2, 3), INDEX, dtype=torch.int32)

    def along(x, src, i):
        return tuple(x.index_reduce(0, i, src, how, include_self=include_self)
                     for how in ("prod", "mean", "amax", "amin"))  # fmt: skip

    check(along, (4, 5), (3, 5), torch.tensor([1, 1, 3]))
    nan = torch.tensor([[1.0, float("nan"), 3.0, 0.0, -0.0]])
    check(reduce, nan, torch.tensor([[2.0, 1.0, float("nan")]]), torch.tensor([[0, 1, 1]]))


def test_rank_0_and_size_0():
    zero, none = torch.tensor(0), torch.zeros(0, dtype=torch.int64)
    check(lambda x, s, i: (x.scatter(0, i, s), x.scatter_add(0, i, s)), (), (), zero)
    check(lambda x, s, i: (x.scatter(0, i, s), x.scatter_reduce(0, i, s, "sum")), (5,), (0,), none)
    check(lambda x, i: (x.index_add(0, i, x), x.index_fill(0, i, 2)), (), zero)
    check(lambda x, s, i: (x.index_copy(0, i, s), aten.put(x, i, s)), (5,), (0,), none)
    check(lambda x, s, i: x.index_put([i], s), (0, 3), (0, 3), none)


@pytest.mark.parametrize("accumulate", [False, True])
def test_index_put(accumulate):
    i, j = torch.tensor([[0, 1], [1, -1]]), torch.tensor([2, 0])

    def put(x, v, w, i, j):
        return (x.index_put([i], v, accumulate), aten.index_put(x, [None, j], w, accumulate),
                x.index_put([i, j], v[0, 0, 0], accumulate),
                aten.index_put(x, [i[0], None, j], w[0, :2, :1], accumulate),
                aten._unsafe_index_put(x, [j], v[:, 0], accumulate),
                x.index_put([x > 0], v[0, 0, 0, 0], accumulate),
                aten.put(x, i * 3, v[0, :2, :2, 0], accumulate))  # fmt: skip

    check(put, (3, 4, 5), (2, 2, 4, 5), (3, 2, 5), i, j)
    check(put, (3, 4, 5), (2, 2, 4, 5), (3, 2, 5), i, j, dtype=torch.int32)
    # Without accumulation eager keeps any one of colliding rows.
    rows = torch.randint(0, 40, (90,)) if accumulate else torch.randperm(90)
    check(lambda x, v, i: x.index_put([i], v, accumulate), (90, 600), (90, 600), rows)


def test_a_mask_and_several_values():
    with pytest.raises(UnsupportedOpError, match="the number of values depends"):
        compiled(lambda x, v: x.index_put([x > 0], v))(torch.ones(3), torch.ones(3))


def test_slices_at_an_index():
    i = torch.tensor([2, 0, 2])

    def write(x, s, i):
        return (x.index_add(1, i, s), x.index_add(1, i, s, alpha=2.5), x.index_fill(1, i, 3.0),
                x.index_fill(1, i, s[0, 0]), x.index_copy(1, i[:2], s[:, :2]),
                x.index_add(-1, i, s.t().reshape(4, 3)))  # fmt: skip

    check(write, (4, 5), (4, 3), i)
    check(lambda x, s, i: x.index_add(1, i, s), (4, 5, 2), (4, 3, 2), i, dtype=torch.int64)


def test_masked_scatter():
    mask = torch.tensor([[True, False, True], [False, True, True]])
    check(lambda x, m, s: x.masked_scatter(m, s), (2, 3), mask, (7,))
    check(lambda x, m, s: x.masked_scatter(m, s), (2, 3), mask[:1], (2, 3))


def test_nothing_else_is_written():
    """`check` compares the arguments too: a write into an argument's own memory shows there."""
    check(lambda x, s, i: x.scatter(1, i, s), (2, 5), (2, 3), INDEX)
    check(lambda x, s: x.slice_scatter(s, 0, 0, 1), (3, 4), (1, 4))
    check(lambda x, i: x.index_reduce(0, i, x, "mean"), (1,), torch.tensor([0]))
