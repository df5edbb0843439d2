# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bags of rows of an embedding, and their gradients, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import check
from test_gradients import check_gradients

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
