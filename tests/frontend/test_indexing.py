# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads and writes at computed positions, against eager."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from checking import check

aten = torch.ops.aten


def test_embeddings_and_gathers():
    ids = torch.randint(0, 11, (3, 4))

    def read(w, i):
        return (F.embedding(i, w), w.index_select(0, i[0]), w.index_select(1, i[0] % 5),
                w.gather(0, i % 11), torch.take_along_dim(w[:, :4], i, 0), w[i[0]], w[i],
                w[:, i[0] % 5], w[i[0], i[1] % 5], w[-1 - i[0]], w[i[:, :1], i[:1] % 5],
                aten._unsafe_index(w, [i, i % 5]))  # fmt: skip

    check(read, (11, 5), ids)
    check(lambda w, i: (w[i[0], :, i[1] % 3], w[:, i[0] % 5, 0], w[:, :, i % 3]), (11, 5, 3), ids)
    check(lambda w, i: F.embedding(i, w), (11, 5), ids.int())


def test_rank_0_and_size_0():
    zero = torch.tensor(0)
    check(lambda x, i: (x.index_select(0, i), x.gather(0, i)), (), zero)
    check(lambda w, i: (F.embedding(i, w), w[i]), (11, 5), torch.zeros(0, 3, dtype=torch.int64))


def test_scatters():
    index = torch.tensor([[0, 1, 2], [2, 2, 0]])

    def write(x, src, i):
        return (x.scatter(1, i, src), x.scatter_add(1, i, src), x.scatter(1, i, 7.0),
                x.select_scatter(src[:, 0], 1, 2), x.select_scatter(src[:, 0], 1, -1),
                x.slice_scatter(src, 1, 1, 4), x.slice_scatter(src[:, :2], 1, 0, 4, 2))  # fmt: skip

    check(write, (2, 5), (2, 3), index)


def test_triangles():
    check(lambda x: (x.tril(), x.triu(), x.tril(-1), x.triu(2), x.tril(1)), (2, 5, 4))
    check(lambda x: (x.tril(), x.triu(1)), (4, 4), dtype=torch.bool)


def test_views_by_position():
    check(
        lambda x: (x.diagonal(), x.diagonal(1, 1, 2), x.diagonal(-2, 0, -1), x.diagonal(9)),
        (4, 5, 3),
    )
    check(lambda x, s: (x.diagonal_scatter(s[:4]), x.diagonal_scatter(s[:4], 1),
                        x.diagonal_scatter(s[:3], -1)), (4, 5), (5,))  # fmt: skip
    check(lambda x: (x.unfold(1, 3, 2), x.unfold(0, 4, 1), x.unfold(-1, 1, 1)), (4, 7))
    check(lambda x: x.unfold(0, 1, 1), ())


def test_take():
    i = torch.tensor([[0, 3], [-1, 11]])
    check(lambda x, i: (x.take(i), x.take(i[0])), (3, 4), i)
    check(lambda x, i: x.take(i), (3, 4), torch.zeros(0, dtype=torch.int64))


def test_several_index_tensors_broadcast():
    i, j = torch.tensor([[0], [1]]), torch.tensor([2, 0, 1])
    check(lambda x, i, j: (x[i, j], x[:, i, j], x[i, :, j], x[i, 1, j], x[..., j], x[i[0], :, 0]),
          (3, 4, 3), i, j)  # fmt: skip
