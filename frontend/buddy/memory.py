# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory of compiled code: outputs, weights, workspaces; and what the compiler leaves behind."""

from __future__ import annotations

import array
import ctypes
import functools
import itertools
import math
import mmap
import operator
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import torch

LARGE = 1 << 20  # bytes from which a tensor is worth a system call
HUGE_PAGE = 2 << 20
HUGE_PAGE_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
ALIGNMENT = 64
MADV_HUGEPAGE = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux only
MADV_DONTNEED = mmap.MADV_DONTNEED
MADV_COLLAPSE = 25  # since Linux 6.1; the module mmap does not have it
GAP = 4096  # bytes between two tensors that the allocator may have for itself
PAGES_AT_ONCE = 8
# Of /proc/self/pagemap (`man 5 proc_pid_pagemap`): bits 63, present, 62, swapped, and 61, of a file.
PAGE_STATE, ABSENT, OF_FILE = 61, 0b000, 0b101

# torch.empty's kernel without the dispatcher before it, which takes twice as long as the kernel.
# Code that Inductor generates allocates by it too.
empty_strided = torch._C._dynamo.guards._empty_strided_cpu
_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """An uninitialized tensor that starts at a multiple of 64 bytes, as torch's CPU allocator does.

    The kernel is asked for huge pages where it is large: new memory, of gradients for instance,
    then comes 2 MiB at a time and not 4 KiB, and packed weights are read through fewer entries of
    the TLB. A refusal changes nothing but the speed.
    """
    shape = tuple(shape)
    x = empty_strided(shape, row_major(shape), dtype)
    _ask_for_huge_pages(x)
    return x


@functools.lru_cache(1024)
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, as torch has them: those of no elements too."""
    strides = itertools.accumulate((max(size, 1) for size in shape[:0:-1]), operator.mul, initial=1)
    return tuple(strides)[::-1] if shape else ()


def empty_bytes(size: int) -> torch.Tensor:
    """Uninitialized bytes for ourselves; where they are many, from the start of a huge page on.

    A huge page has to lie within the memory: of one tensor's 3 MiB that start anywhere, half come
    in small pages, and reading those costs up to twice as long (in a virtual machine two tables of
    pages are walked).
    """
    if size < HUGE_PAGE:
        return empty((max(size, 1),), torch.int8)
    whole = torch.empty((size + HUGE_PAGE,), dtype=torch.int8)
    _ask_for_huge_pages(whole)
    return whole.narrow(0, -whole.data_ptr() % HUGE_PAGE, size)


def empty_side_by_side(
    tensors: Sequence[tuple[Sequence[int], torch.dtype]],
) -> list[torch.Tensor]:
    """Uninitialized tensors of these shapes and types, one after the other in the same pages.

    Each starts at a multiple of 64 bytes. All live as long as any of them does.
    """
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in tensors]
    starts = itertools.accumulate((-(-s // ALIGNMENT) * ALIGNMENT for s in sizes), initial=0)
    *starts, total = starts
    memory = empty_bytes(total)
    return [
        memory.narrow(0, start, size).view(dtype).view(tuple(shape))
        for start, size, (shape, dtype) in zip(starts, sizes, tensors)
    ]


def _ask_for_huge_pages(x: torch.Tensor) -> None:
    if x.nbytes >= LARGE and MADV_HUGEPAGE is not None:
        begin = -(-x.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (x.data_ptr() + x.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        _madvise(begin, end - begin, MADV_HUGEPAGE)


def use_huge_pages(tensors: Sequence[torch.Tensor]) -> None:
    """Have the kernel move what these tensors lie in to huge pages, while the program goes on.

    Weights that are read as they lie are in small pages, where torch and the user put them: they
    come from memory a quarter slower. Nothing is seen of the move but the speed; memory that has
    been freed in the meantime is not harmed either. Kernels before Linux 6.1 refuse, and where the
    machine's owner wants no huge pages they are not asked.
    """
    ranges = _huge_ranges(tensors)
    if ranges and _allows_huge_pages():
        threading.Thread(target=_collapse, args=(ranges,), daemon=True).start()


@functools.cache
def _allows_huge_pages() -> bool:
    try:
        return "[never]" not in HUGE_PAGE_SETTING.read_text()
    except OSError:  # no Linux, or one without
        return False


def _huge_ranges(tensors: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """The huge pages that lie within memory of the tensors, neighbours taken together."""
    spans = sorted((x.data_ptr(), x.data_ptr() + x.nbytes) for x in tensors)
    joined: list[tuple[int, int]] = []
    for begin, end in spans:
        if joined and begin - joined[-1][1] < GAP:
            begin, last = joined.pop()
            end = max(end, last)
        joined.append((begin, end))
    pages = [(-(-b // HUGE_PAGE) * HUGE_PAGE, e // HUGE_PAGE * HUGE_PAGE) for b, e in joined]
    return [(begin, end) for begin, end in pages if begin < end]


def _collapse(ranges: Sequence[tuple[int, int]]) -> None:
    """A few at a time: the program may end in between."""
    for begin, end in ranges:
        for start in range(begin, end, PAGES_AT_ONCE * HUGE_PAGE):
            _madvise(start, min(end - start, PAGES_AT_ONCE * HUGE_PAGE), MADV_COLLAPSE)


def give_back_code(*libraries: str) -> None:
    """Drop these shared libraries (file names) from memory until they are needed again.

    Only what is as the file has it: a mapping that the loader wrote relocations to, or the library
    its variables, stays.
    """
    if sys.platform != "linux":
        return
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, _, _, _, *path = line.split(maxsplit=5)
        if path and Path(path[0]).name in libraries:
            begin, end = (int(address, 16) for address in addresses.split("-"))
            if _is_as_the_file(begin, end):
                _madvise(begin, end - begin, MADV_DONTNEED)


def _is_as_the_file(begin: int, end: int) -> bool:
    """Whether no page of a file's private mapping has been written to."""
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            pagemap.seek(begin // mmap.PAGESIZE * 8)
            pages = array.array("Q", pagemap.read((end - begin) // mmap.PAGESIZE * 8))
    except OSError:
        return False
    return {page >> PAGE_STATE for page in pages} <= {ABSENT, OF_FILE}
