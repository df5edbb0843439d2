# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large memory asks for huge pages, small memory is torch's own; large results are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from buddy.memory import LARGE, empty
from checking import check

SMAPS = Path("/proc/self/smaps")


def flags_at(address: int) -> list[str]:
    """The kernel's flags of the mapping that holds `address`."""
    inside = False
    for line in SMAPS.read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("no mapping holds the address")


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a kernel without huge pages"
)
def test_large_tensors_ask_for_huge_pages():
    x = empty((9, LARGE), torch.float32)
    assert x.shape == (9, LARGE) and x.dtype == torch.float32 and x.is_contiguous()
    assert "hg" in flags_at(x.data_ptr() + x.nbytes // 2)
    x.fill_(1)
    assert x.sum() == x.numel()


def test_small_and_empty_tensors():
    assert empty((3, 2), torch.int8).shape == (3, 2)
    assert empty((0, 4), torch.float64).numel() == 0


@pytest.mark.parametrize(
    ("function", "dtype", "shapes"),
    [
        (lambda x: x * 2, torch.float32, [(3001, 1501)]),  # rows begin at odd addresses
        (lambda x: x.softmax(-1), torch.float32, [(4096, 1200)]),
        (lambda x: x + 1, torch.bfloat16, [(3001, 3072)]),
        (lambda x: x > 0, torch.float32, [(3001, 3001)]),
        (lambda x, y: x @ y, torch.float32, [(2111, 32), (32, 4096)]),
        (lambda x: torch.cat([x, x + 1, x.relu()]), torch.float64, [(1024, 1023)]),
    ],
)
def test_results_that_no_cache_holds(function, dtype, shapes):
    """They are written past the caches."""
    check(function, *shapes, dtype=dtype)
