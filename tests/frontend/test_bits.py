# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bits read as another dtype, against eager."""

from __future__ import annotations

import pytest
import torch
from buddy import UnsupportedOpError
from checking import check, compiled

WIDTHS = (torch.uint8, torch.int8, torch.float16, torch.bfloat16, torch.int32, torch.float32,
          torch.int64, torch.float64)  # fmt: skip


@pytest.mark.parametrize("source", [torch.uint8, torch.int16, torch.float32, torch.int64])
def test_views(source):
    """All widths of whole numbers, where every bit pattern is a number; and the way back."""
    bits = torch.randint(-(2**63), 2**63 - 1, (3, 4)).view(source)

    def views(x):
        return tuple(x.view(d) for d in WIDTHS if not d.is_floating_point)

    check(views, bits if source != torch.float32 else torch.randn(3, 8))
    numbers = torch.randn(2, 3, 4)
    check(lambda *xs: tuple(x.view(source) for x in xs), *(numbers.to(d) for d in WIDTHS[2:4]),
          numbers, numbers.double())  # fmt: skip


def test_views_of_computed_and_odd_shapes():
    check(lambda x: ((x * 2).view(torch.int32) + 1, x[0].view(torch.uint8), x[:0].view(torch.int16)),
          (3, 5))  # fmt: skip
    check(lambda x: x.view(torch.float32), torch.tensor(1065353216, dtype=torch.int32))
    check(lambda x: (x.view(torch.int32) & 0x7FFFFFFF).view(torch.float32), (7, 3))


def test_sizes_that_are_known_later():
    later = torch.compile(
        lambda x: (x + 1).view(torch.int16), backend="buddy", dynamic=True, options={"fallback": False}
    )  # fmt: skip
    for size in (4, 9):
        x = torch.randint(-9, 9, (3, size), dtype=torch.int32)
        assert torch.equal(later(x), (x + 1).view(torch.int16))


def test_truth_values_stay_whole():
    with pytest.raises(UnsupportedOpError, match="truth values"):
        compiled(lambda x: (x > 0).view(torch.uint8))(torch.randn(3))
