# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory that compiled code writes to: outputs, prepared weights, workspaces."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence

import torch

LARGE = 1 << 20  # bytes from which a tensor is worth a system call
MADV_HUGEPAGE = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux only

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def empty(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """An uninitialized tensor that starts at a multiple of 64 bytes, as torch's CPU allocator does.

    The kernel is asked for huge pages where it is large: new memory, of gradients for instance,
    then comes 2 MiB at a time and not 4 KiB, and packed weights are read through fewer entries of
    the TLB. A refusal changes nothing but the speed.
    """
    x = torch.empty(shape, dtype=dtype)
    if x.nbytes >= LARGE and MADV_HUGEPAGE is not None:
        begin = -(-x.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (x.data_ptr() + x.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        _madvise(begin, end - begin, MADV_HUGEPAGE)
    return x
