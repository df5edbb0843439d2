# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory of large results, used again.

The C library hands large memory back to the kernel with each tensor that is freed, and the kernel
clears what it gives, page by page: a tenth of a training step, whose gradients and saved values are
new in each. Here a result is put where one of the same size was, once nothing refers to that any
more. It is a tensor of its own; only its storage was another's.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import torch

from .memory import LARGE, empty, empty_strided, row_major

LIMIT = 128 << 20  # bytes of results that are remembered, in use or not
TRIES = 4  # among the results of a size; those that are oldest come first


def _holders(storage: torch.UntypedStorage) -> tuple[int, int]:
    """How many tensors, and how many Python objects, refer to it."""
    return torch._C._storage_Use_Count(storage._cdata), sys.getrefcount(storage)


class ResultMemory:
    """Remembers, and so keeps, the storages of the latest large results, `limit` bytes at most.

    Calls may come from several threads.
    """

    def __init__(self, limit: int = LIMIT):
        self.limit = limit
        self.bytes = 0
        self.storages: OrderedDict[int, deque[torch.UntypedStorage]] = OrderedDict()  # by size
        self.lock = threading.Lock()
        storage = torch.UntypedStorage(0)
        self.unused = _holders(storage)

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """An uninitialized tensor, as `memory.empty` gives one."""
        size = math.prod(shape) * dtype.itemsize
        if not LARGE <= size <= self.limit:
            return empty(shape, dtype)
        storage = self._take(size)
        if storage is None:
            x = empty(shape, dtype)
            storage = x.untyped_storage()
        else:
            shape = tuple(shape)
            x = empty_strided((0,), (1,), dtype).set_(storage, 0, shape, row_major(shape))
        self._remember(storage, size)
        return x

    def _take(self, size: int) -> torch.UntypedStorage | None:
        """One of that size that nobody uses. It is remembered no more."""
        with self.lock:
            known = self.storages.get(size, ())
            for _ in range(min(TRIES, len(known))):
                storage = known.popleft()
                if _holders(storage) != self.unused:
                    known.append(storage)
                    continue
                self.bytes -= size
                # What was given to another process may be read there still.
                if not storage.is_shared() and storage.nbytes() == size:
                    return storage
        return None

    def _remember(self, storage: torch.UntypedStorage, size: int) -> None:
        with self.lock:
            self.storages.setdefault(size, deque()).append(storage)
            self.storages.move_to_end(size)
            self.bytes += size
            while self.bytes > self.limit:
                oldest, known = next(iter(self.storages.items()))
                if known:
                    known.popleft()
                    self.bytes -= oldest
                else:
                    del self.storages[oldest]


Allocate = Callable[[Sequence[int], torch.dtype], torch.Tensor]
empty_result: Allocate = ResultMemory().empty


def allocator(size: int) -> Allocate:
    """What allocates a result of `size` bytes."""
    return empty if size < LARGE else empty_result
