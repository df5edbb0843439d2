# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One graph for all sizes, also for those that are numbers in most programs."""

from __future__ import annotations

import buddy
import pytest
import torch
import torch.nn.functional as F
from checking import assert_same, make
from torch import nn


def check_dynamic(fn, *calls, graphs: int = 1):
    """`fn` compiled with dynamic sizes answers each call, of tensors of these shapes, as eager."""
    run = torch.compile(
        fn, backend="buddy", fullgraph=True, dynamic=True, options={"fallback": False}
    )
    for shapes in calls:
        args = [make(shape, torch.float32) for shape in shapes]
        with torch.no_grad():
            assert_same(run(*args), fn(*args), (2e-5, 1e-4))
    assert buddy.stats()["graphs"] == graphs


def test_memory_between_operators_grows_with_a_size_that_comes_without_a_tensor():
    lengths = ([(length, 3)] for length in (6, 80, 5000, 7))
    check_dynamic(lambda x: torch.arange(x.shape[0]).amax(), *lengths)


@pytest.mark.parametrize("kernel", [4, 128])
def test_pools_whose_last_window_overhangs(kernel):
    def pools(x):
        return (F.avg_pool2d(x, kernel, ceil_mode=True), F.max_pool2d(x, kernel, ceil_mode=True),
                F.max_pool2d(x, kernel, 3, kernel // 2, ceil_mode=True))  # fmt: skip

    run = torch.compile(pools, backend="buddy", dynamic=True, options={"fallback": False})
    with torch.no_grad():
        for n, size in ((2, 2), (3, 5), (2, 7), (4, 31)):
            x = torch.randn(n, 3, size, size + 1)
            assert_same(run(x), pools(x), (2e-5, 1e-4))


def test_attention_of_heads_of_any_size():
    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v)

    check_dynamic(attend, *([(b, h, t, d)] * 3 for b, h, t, d in [(2, 3, 4, 5), (3, 2, 7, 9)]))


def test_numbers_that_dynamo_keeps_symbolic():
    """An attribute is a tensor of one element where the graph can take it, else a number."""

    class Scaled(nn.Module):
        def __init__(self, scale: float):
            super().__init__()
            self.scale = scale

        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v, scale=self.scale)

    class Divided(nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = 0.7

        def forward(self, x):
            return x / (1 / self.rate) + self.rate

    check_dynamic(Scaled(0.3), *([(2, 3, t, 8)] * 3 for t in (4, 7)))
    buddy.reset()
    check_dynamic(Divided(), [(3, 4)], [(5, 6)])


def test_sizes_equal_in_other_words():
    """Every other row of every other row is every fourth: no two sizes are written alike."""

    def rows(x):
        fourth, twice = x[::4] * 2, x[::2][::2] * 3
        return torch.stack([fourth, fourth + twice], 1), (fourth + twice).reshape(len(twice), -1, 2)

    check_dynamic(rows, [(9, 6)], [(12, 10)], [(7, 4)])


def test_padding_by_symbolic_amounts():
    """Up to the next multiple of four, and as a crop where the amount is negative."""

    def pad(x):
        rows, columns = x.shape
        missing = -columns % 4
        return F.pad(x, (0, missing, 1, rows), value=0.5), F.pad(x, (2 - columns, missing))

    check_dynamic(pad, [(3, 6)], [(5, 9)], [(2, 8)])


def test_transposed_convolutions():
    w = make((3, 4, 3, 3), torch.float32)
    torch._dynamo.mark_static(w)

    def grow(x):
        return (
            F.conv_transpose2d(x, w, padding=1),
            F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
            F.conv_transpose2d(x, w, stride=(3, 4), dilation=2),
        )

    check_dynamic(grow, [(2, 3, 4, 5)], [(3, 3, 7, 6)])


def test_pooling_to_a_given_size():
    """Windows whose number is known, and whose length depends on a size."""

    def pool(x):
        return (
            F.adaptive_avg_pool2d(x, (2, 3)),
            F.adaptive_avg_pool3d(x, (3, 2, 1)),
            F.adaptive_avg_pool1d(x[0], 3),
            *F.adaptive_max_pool2d(x, (3, 2), return_indices=True),
            *F.adaptive_max_pool3d(x, (2, 3, 4), return_indices=True),
        )

    check_dynamic(pool, [(2, 3, 7, 6)], [(3, 4, 5, 9)], [(2, 2, 4, 3)])


def test_gradients_of_pooling_to_a_given_size():
    def pool(x):
        average, largest = F.adaptive_avg_pool2d(x, (2, 3)), F.adaptive_max_pool2d(x, (3, 2))
        return average.square().sum() + F.adaptive_avg_pool3d(x * x, (3, 2, 1)).sum() * largest

    run = torch.compile(
        pool, backend="buddy", fullgraph=True, dynamic=True, options={"fallback": False}
    )
    for shape in [(2, 3, 7, 6), (3, 4, 5, 9)]:
        x = make(shape, torch.float32).requires_grad_()
        actual, expected = (torch.autograd.grad(f(x).sum(), x)[0] for f in (run, pool))
        assert_same(actual, expected, (1e-4, 1e-4))
    assert buddy.stats()["graphs"] == 2  # forward and backward


def test_searches_in_sequences_of_any_length():
    def search(x, y):
        table = x.sort().values
        return torch.searchsorted(table, y), torch.bucketize(y, table[0], right=True)

    check_dynamic(search, [(2, 5), (2, 9)], [(3, 8), (3, 4)], [(2, 2), (2, 3)], [(4, 17), (4, 5)])


def test_products_of_several_dimensions():
    """Their operands are reshaped and transposed: sizes are known through many reshapes only."""
    w, v = (make((32, 4, 8), torch.float32) for _ in range(2))

    def scores(x, y):
        q, k = torch.einsum("ibh,hnd->ibnd", x, w), torch.einsum("jbh,hnd->jbnd", y, v)
        return torch.einsum("ibnd,jbnd->bnij", q, k)

    check_dynamic(scores, [(3, 2, 32), (5, 2, 32)], [(4, 3, 32), (6, 3, 32)])


def test_numbers_that_sizes_give():
    """Ratios of sizes are factors, and sizes again once they are rounded."""

    def resize(x, y):
        rows, columns = x.shape[2:]
        return (
            F.interpolate(x, size=y.shape[2:], mode="bilinear", align_corners=False),
            F.interpolate(x, scale_factor=1.7),
            x * (rows / columns + 0.5) - rows**-0.5,
        )

    check_dynamic(resize, [(2, 3, 4, 5), (2, 3, 9, 8)], [(3, 2, 6, 7), (3, 2, 4, 11)])


@torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True)
def test_sizes_that_depend_on_data():
    """What makes them runs eagerly; what follows is compiled, and its views keep their strides."""

    def select(x):
        chosen = x.masked_select(x > 0)
        return chosen * 2, chosen.sum(), x.nonzero().t(), torch.unique(x.round()).view(-1, 1) + 1

    x = torch.randn(7, 5)
    with torch.no_grad(), pytest.warns(RuntimeWarning, match="no lowering"):
        run = torch.compile(select, backend="buddy", fullgraph=True)
        assert_same(run(x), select(x), (2e-5, 1e-4))
        assert_same(run(-x), select(-x), (2e-5, 1e-4))


@pytest.mark.filterwarnings("ignore:.*does not track:RuntimeWarning")
def test_arguments_that_share_memory_and_grow():
    """PyTorch makes one argument of them, without a guard of its sizes."""

    def update(x, y):
        x.mul_(y.sum())
        return x + 1, y * 2

    def arguments(size):
        memory = torch.arange(2.0 * size).view(2, size)
        for x in (memory[:1], memory):
            torch._dynamo.maybe_mark_dynamic(x, 1)
            yield x

    run = torch.compile(update, backend="buddy", fullgraph=True)
    with torch.no_grad():
        for size in (5, 7, 10):
            actual, expected = [*arguments(size)], [*arguments(size)]
            assert_same(run(*actual), update(*expected))
            assert_same(actual, expected)
    assert buddy.stats()["nodes_lowered"] > 0
