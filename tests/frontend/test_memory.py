# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large memory asks for huge pages, small memory is torch's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from buddy.memory import LARGE, empty

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
