# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Large memory asks for huge pages, small memory is torch's own; large results are right."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest
import torch
from buddy import memory
from buddy.memory import (
    HUGE_PAGE,
    LARGE,
    empty,
    empty_bytes,
    empty_side_by_side,
    give_back_code,
    use_huge_pages,
)
from checking import check

SMAPS = Path("/proc/self/smaps")


def figures_at(address: int) -> dict[str, str]:
    """What the kernel says of the mapping that holds `address`, by name."""
    inside, figures = False, {}
    for line in SMAPS.read_text().splitlines():
        if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside:
            name, _, text = line.partition(":")
            figures[name] = text
    return figures


def flags_at(address: int) -> list[str]:
    return figures_at(address)["VmFlags"].split()


def bytes_at(address: int, name: str) -> int:
    return int(figures_at(address)[name].split()[0]) * 1024


def kernel_version() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


huge_pages = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a kernel without huge pages"
)
moved_pages = pytest.mark.skipif(
    not memory._allows_huge_pages() or kernel_version() < (6, 1),
    reason="a kernel that moves nothing to huge pages",
)


@huge_pages
def test_large_tensors_ask_for_huge_pages():
    x = empty((9, LARGE), torch.float32)
    assert x.shape == (9, LARGE) and x.dtype == torch.float32 and x.is_contiguous()
    assert "hg" in flags_at(x.data_ptr() + x.nbytes // 2)
    x.fill_(1)
    assert x.sum() == x.numel()


@pytest.mark.parametrize("shape", [(), (0,), (3, 2), (0, 4), (4, 0), (2, 0, 3), (1, 5, 1)])
def test_small_and_empty_tensors(shape):
    wanted = torch.empty(shape, dtype=torch.bfloat16)
    with torch.device("meta"):  # code runs on the CPU, whatever the default is
        x = empty(torch.Size(shape), torch.bfloat16)
    assert (x.shape, x.stride(), x.dtype) == (wanted.shape, wanted.stride(), wanted.dtype)
    assert x.device.type == "cpu"


def test_memory_of_inference_mode():
    with torch.inference_mode():
        assert empty((3,), torch.float32).is_inference()
    assert not empty((3,), torch.float32).is_inference()


@pytest.mark.parametrize("size", [0, 1, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE + 5])
def test_bytes_start_at_huge_pages(size):
    x = empty_bytes(size)
    assert x.dtype == torch.int8 and x.shape == (max(size, 1),)
    assert x.data_ptr() % (HUGE_PAGE if size >= HUGE_PAGE else 64) == 0


def test_tensors_side_by_side():
    wanted = [((3, 5), torch.float32), ((0, 7), torch.bfloat16), ((1 << 20,), torch.float64)]
    wanted += [((), torch.int64), ((9, 2, 1), torch.int8)]
    tensors = empty_side_by_side(wanted)
    assert [(tuple(x.shape), x.dtype) for x in tensors] == wanted
    for value, x in enumerate(tensors):
        assert x.data_ptr() % 64 == 0 and x.is_contiguous()
        x.fill_(value)
    assert all((x == value).all() for value, x in enumerate(tensors))
    assert empty_side_by_side([]) == []


@moved_pages
def test_tensors_move_to_huge_pages(monkeypatch):
    """Neighbours share them; their values stay."""
    x = torch.arange(16 * HUGE_PAGE, dtype=torch.int32)
    threads = []
    start = memory.threading.Thread.start
    monkeypatch.setattr(
        memory.threading.Thread, "start", lambda thread: (threads.append(thread), start(thread))
    )
    use_huge_pages(list(x.split(HUGE_PAGE // 8)))  # each smaller than a page
    for thread in threads:
        thread.join()
    assert len(threads) == 1
    assert bytes_at(x.data_ptr() + x.nbytes // 2, "AnonHugePages") >= x.nbytes // 2
    assert torch.equal(x, torch.arange(16 * HUGE_PAGE, dtype=torch.int32))


def test_huge_pages_that_nobody_wants(monkeypatch, tmp_path):
    setting = tmp_path / "enabled"
    monkeypatch.setattr(memory, "HUGE_PAGE_SETTING", setting)
    for text, allowed in (("always madvise [never]\n", False), ("always [madvise] never\n", True)):
        setting.write_text(text)
        assert memory._allows_huge_pages.__wrapped__() == allowed
    setting.unlink()
    assert not memory._allows_huge_pages.__wrapped__()


def test_code_that_is_given_back_comes_again():
    from mlir import ir

    code = next(
        int(line.split("-")[0], 16)
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith("libMLIRPythonCAPI.so") and " r-xp " in line
    )
    ir.Context(("arith",))
    before = bytes_at(code, "Rss")
    give_back_code("libMLIRPythonCAPI.so")
    assert bytes_at(code, "Rss") < before // 4
    with ir.Context(("arith",)), ir.Location.unknown():
        assert str(ir.Module.parse("func.func private @f()", ir.Context())).count("@f") == 1


def test_what_was_written_to_stays():
    from buddy import mlir_code
    from mlir import ir

    ir.Context(("arith",))
    mlir_code.give_back()
    written = {}  # bytes that are in memory of each mapping
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(("libMLIRPythonCAPI.so", "libLLVM.so")):
            begin = int(line.split("-")[0], 16)
            written[begin] = bytes_at(begin, "Rss"), bytes_at(begin, "Anonymous")
    assert any(anonymous for _, anonymous in written.values())
    assert all(anonymous or not rss for rss, anonymous in written.values()), written


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
