# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bags of rows of an embedding, and their gradients, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import check
from test_gradients import check_gradients

aten = torch.ops.aten
INDICES = torch.tensor([4, 1, 1, 6, 0, 3, 3])
OFFSETS = torch.tensor([0, 2, 2, 5, 7])  # the second and the last bag are empty


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bags(mode, dtype):
    def bags(w, i, o):
        return (F.embedding_bag(i, w, o, mode=mode), F.embedding_bag(i, w, o[:4], mode=mode),
                F.embedding_bag(i, w, o, mode=mode, include_last_offset=True),
                F.embedding_bag(i, w, o, mode=mode, padding_idx=3),
                F.embedding_bag(i[:6].view(2, 3), w, mode=mode))  # fmt: skip

    weight = torch.randn(7, 5).to(dtype)
    check(bags, weight, INDICES, OFFSETS)
    check(bags, weight, INDICES.int(), OFFSETS.int())


def test_no_bags():
    check(lambda w, i, o: (F.embedding_bag(i, w, o), F.embedding_bag(i, w, o[:0])),
          (7, 5), INDICES[:0], OFFSETS[:1] * 0)  # fmt: skip


def test_gradients_of_bags():
    def bags(w, scale, i, o):
        return (F.embedding_bag(i, w, o, mode="sum"), F.embedding_bag(i, w, o, mode="mean"),
                F.embedding_bag(i, w, o, mode="mean", padding_idx=3),
                F.embedding_bag(i, w, o, mode="sum", per_sample_weights=scale),
                F.embedding_bag(i, w, o, mode="sum", per_sample_weights=scale, padding_idx=1,
                                include_last_offset=True))  # fmt: skip

    check_gradients(bags, (7, 5), (7,), INDICES, OFFSETS)


def test_gradients_of_maxima():
    """Of equal rows the first one's; an empty bag and padding have none."""

    def bags(w, i, o):
        return (F.embedding_bag(i, w, o, mode="max"),
                F.embedding_bag(i, w, o, mode="max", padding_idx=3),
                F.embedding_bag(i, w.round(), o, mode="max", include_last_offset=True),
                F.embedding_bag(i.int(), w, o.int(), mode="max"),
                F.embedding_bag(i[:6].view(2, 3), w, mode="max"))  # fmt: skip

    check_gradients(bags, (7, 5), INDICES, OFFSETS)


def test_gradient_of_given_bags():
    def backward(grad, i, bags, sizes):
        return tuple(aten._embedding_bag_dense_backward(grad, i, bags, sizes, bags, 7, False, m, None, p)
                     for m in (0, 1) for p in (-1, 3))  # fmt: skip

    bags, sizes = torch.tensor([0, 0, 2, 2, 2, 3, 3]), torch.tensor([2, 0, 3, 2, 0])
    check(backward, (5, 4), INDICES, bags, sizes)
