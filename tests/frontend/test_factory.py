# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Constants, ranges and casts, against eager."""

from __future__ import annotations

import pytest
import torch
from checking import check


def test_constants():
    def make(x):
        return (torch.zeros(3, 4) + x, torch.ones(2, dtype=torch.int64), torch.full((2, 3), 1.5),
                torch.full_like(x, 2), torch.zeros_like(x), torch.ones_like(x, dtype=torch.bool),
                torch.empty(2, 3).zero_(), x.new_zeros(2), x.new_ones(3), x.new_full((2,), 7),
                torch.tensor(2.5) * x, torch.tensor([1, 2, 3]), torch.scalar_tensor(3.0) + x,
                torch.zeros(0, 3), torch.full((), True))  # fmt: skip

    check(make, (4,))


def test_empty_has_shape_and_type():
    # What stands in it may be anything, a NaN too: none of it is chosen.
    check(lambda x: x.where(x.isfinite(), torch.ops.aten.empty.memory_format([3, 4])), (4,))


def test_ranges():
    def ranges(x):
        return (torch.arange(5), torch.arange(2, 9, 3), torch.arange(5.0), torch.arange(0, 1, 0.1),
                torch.arange(3, -3, -2), torch.arange(5, dtype=torch.float32) + x,
                torch.arange(2, 7), torch.arange(4, 4))  # fmt: skip

    check(ranges, ())


@pytest.mark.parametrize("source", [torch.float32, torch.int64, torch.bool, torch.uint8])
def test_casts(source):
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
             torch.int16, torch.int8, torch.bool]  # fmt: skip
    check(lambda x: tuple(x.to(k) for k in kinds if k != source), (3, 7), dtype=source)
    convert = torch.ops.prims.convert_element_type.default
    check(lambda x: (convert(x, torch.float64), x.half().bfloat16()), (3, 7), dtype=source)


def test_constants_of_the_graph():
    small, large = torch.randn(5), torch.randn(40, 50)
    check(lambda x: x @ large[:, :5] + small, (3, 40))
