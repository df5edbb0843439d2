# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory of large results is used again, and only when nothing can see it any more."""

import gc
import threading

import pytest
import torch
from buddy.memory import LARGE
from buddy.results import ResultMemory

SHAPE = (LARGE // 4,)


def allocate(memory: ResultMemory, shape=SHAPE) -> torch.Tensor:
    return memory.empty(shape, torch.float32)


def test_the_memory_of_a_dropped_result_is_used_again():
    memory = ResultMemory()
    first = allocate(memory)
    address = first.data_ptr()
    del first
    again = allocate(memory, (SHAPE[0] // 8, 8))
    assert again.data_ptr() == address
    assert again.is_contiguous() and not again._is_view()
    again.resize_(2 * SHAPE[0])  # as any tensor


def keep_itself(x):
    return x


def keep_view(x):
    return x[1:].detach()


def keep_array(x):
    return x.numpy()


def keep_storage(x):
    return x.untyped_storage()


def keep_exchange(x):
    return x.__dlpack__()


def keep_for_gradient(x):
    x.requires_grad_()
    return (x * x).sum()


@pytest.mark.parametrize(
    "keep",
    [keep_itself, keep_view, keep_array, keep_storage, keep_exchange, keep_for_gradient],
)
def test_what_is_still_referred_to_is_left_alone(keep):
    memory = ResultMemory()
    first = allocate(memory)
    address = first.data_ptr()
    kept = keep(first)
    del first
    assert allocate(memory).data_ptr() != address
    del kept
    gc.collect()
    assert address in {allocate(memory).data_ptr() for _ in range(2)}


def test_what_another_process_may_read_is_left_alone():
    memory = ResultMemory()
    first = allocate(memory)
    first.share_memory_()
    address = first.data_ptr()
    del first
    assert allocate(memory).data_ptr() != address


def test_a_result_that_was_resized_is_not_taken_for_its_old_size():
    memory = ResultMemory()
    first = allocate(memory)
    first.untyped_storage().resize_(16)
    del first
    assert allocate(memory).untyped_storage().nbytes() == LARGE


def test_what_is_kept_has_a_limit():
    memory = ResultMemory(limit=3 * LARGE)
    for parts in (1, 2, 1, 2, 1, 3, 1, 1):
        allocate(memory, (parts, *SHAPE))
        assert memory.bytes <= memory.limit
    assert sum(size * len(known) for size, known in memory.storages.items()) == memory.bytes
    allocate(memory, (4, *SHAPE))  # more than may be kept
    assert memory.bytes <= memory.limit


def test_threads_do_not_share_a_result():
    memory = ResultMemory()
    clashes = []

    def work(number: int) -> None:
        for _ in range(200):
            x = allocate(memory)
            x[:8] = number
            if not x[:8].eq(number).all():
                clashes.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes


def test_results_of_calls_are_their_own():
    def f(x):
        return x + 1, x * 2

    compiled = torch.compile(f, backend="buddy")
    x = torch.randn(1 << 19)
    kept = [compiled(x * i) for i in range(4)]
    for i, (a, c) in enumerate(kept):
        torch.testing.assert_close(a, x * i + 1)
        torch.testing.assert_close(c, x * i * 2)
    assert len({y.data_ptr() for pair in kept for y in pair}) == 8
    chained = x
    for _ in range(5):
        chained = compiled(chained)[0]
    torch.testing.assert_close(chained, x + 5)
