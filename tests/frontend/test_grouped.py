# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of groups of rows, and views by strides, against eager."""

from __future__ import annotations

import buddy
import pytest
import torch
import transformers.integrations.moe  # noqa: F401 - defines grouped_mm_fallback
from checking import check, compiled

CLOSE = (1e-4, 1e-4)


def grouped(x, matrices, ends):
    return torch.ops.transformers.grouped_mm_fallback(x, matrices, ends)


@pytest.mark.parametrize(
    "ends",
    [[3, 3, 10, 13], [0, 0, 0, 13], [13, 13, 13, 13], [1, 2, 3, 4], [0, 0, 0, 0], [4, 8, 12, 13]],
    ids=str,
)
def test_groups_of_rows(ends):
    """Empty groups, all in one, and rows in no group, whose result is 0."""
    ends = torch.tensor(ends, dtype=torch.int32)
    check(grouped, (13, 6), (4, 6, 5), ends, tolerance=CLOSE)
    check(grouped, (13, 6), torch.randn(4, 5, 6).transpose(1, 2), ends, tolerance=CLOSE)


def test_more_groups_than_rows():
    ends = torch.tensor([0, 1, 1, 1, 2, 3, 3])
    check(grouped, (3, 4), (7, 4, 5), ends)


def test_gradients_of_groups():
    ends = torch.tensor([3, 3, 10, 11], dtype=torch.int32)
    x, matrices, seed = torch.randn(13, 6), torch.randn(4, 6, 5), torch.randn(13, 5)

    def gradients(fn):
        leaves = [t.clone().requires_grad_() for t in (x, matrices)]
        fn(*leaves, ends).backward(seed)
        return [t.grad for t in leaves]

    for actual, expected in zip(gradients(compiled(grouped)), gradients(grouped)):
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
    assert buddy.stats()["nodes_fallback"] == 0


def test_grouped_mm_of_torch():
    """bfloat16; the inner dimension in groups gives a matrix per group."""
    ends = torch.tensor([8, 8, 24], dtype=torch.int32)
    rows = torch.randn(24, 16).bfloat16()
    matrices = torch.randn(3, 16, 8).bfloat16()
    others = torch.randn(24, 8).bfloat16()
    check(lambda x, y, g: torch._grouped_mm(x, y, offs=g), rows, matrices, ends)
    check(lambda x, y, g: torch._grouped_mm(x.T, y, offs=g), rows, others, ends,
          tolerance=(5e-2, 5e-2))  # fmt: skip


def test_number_of_rows_may_change():
    run = torch.compile(grouped, backend="buddy", dynamic=True, options={"fallback": False})
    matrices = torch.randn(4, 6, 7)
    with torch.no_grad():
        for rows in (9, 5, 30, 31):
            x, ends = torch.randn(rows, 6), torch.tensor([2, 2, rows // 2, rows])
            torch.testing.assert_close(run(x, matrices, ends), grouped(x, matrices, ends))
    assert buddy.stats()["graphs"] == 1
