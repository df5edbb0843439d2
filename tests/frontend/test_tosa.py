# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The TOSA lowerings against eager, and that they are the ones taken."""

from __future__ import annotations

import math

import buddy
import pytest
import torch
import torch.nn.functional as F
from checking import check, compiled

aten = torch.ops.aten
HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


def check_tosa(fn, *shapes, left=(), **options):
    """`check`, and that linalg serves the overloads in `left` alone."""
    buddy.reset()
    result = check(fn, *shapes, dialect="tosa", **options)
    assert set(buddy.stats()["linalg_ops"]) == {f"aten.{op}" for op in left}
    return result


def test_unary():
    ops = [aten.ceil, aten.cos, aten.erf, aten.exp, aten.floor, aten.sigmoid, aten.sin, aten.tanh,
           aten.abs, aten.neg, aten.relu, F.gelu, F.silu, aten.square]  # fmt: skip
    check_tosa(lambda x: tuple(op(x) for op in ops), (5, 17))
    check_tosa(lambda x: tuple(op(x) for op in ops), ())
    check_tosa(lambda x: (x.log(), x.reciprocal(), x.rsqrt(), x.sqrt()), (5, 17), positive=True)


def test_unary_at_the_ends():
    values = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-40, -90.0, 90.0, 1e30])
    check_tosa(
        lambda x: (x.sqrt(), x.rsqrt(), x.sigmoid(), x.tanh(), x.erf(), x.exp(), F.gelu(x.clamp(-99, 99)),
                   F.silu(x), F.gelu(x, approximate="tanh"), x.relu(), x.clamp(-1, 1)),
        values,
    )  # fmt: skip


@HALVES
def test_half_precision_rounds_once(dtype):
    def several(x, y):
        return (F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), x.sigmoid(), x.tanh(), x + y,
                x * y, x / (y.abs() + 1), x.softmax(-1), F.layer_norm(x, (33,)), x.mean(1),
                x.sum(0), x.amax(1), x > y, x.float() + y, x.abs() ** 0.5, x.pow(3))  # fmt: skip

    check_tosa(several, (9, 33), (33,), dtype=dtype)


@HALVES
def test_half_precision_products(dtype):
    def products(a, b, bias, x, w, c):
        return (a @ b, torch.addmm(bias, a, b), a[None] @ b[None],
                F.conv2d(x, w, c, padding=1, stride=2))  # fmt: skip

    check_tosa(products, (5, 7), (7, 33), (33,), (2, 3, 8, 8), (5, 3, 3, 3), (5,), dtype=dtype)


def test_binary():
    def mixed(x, y, z):
        return (x + y, x - y, x * y, x / (y.abs() + 1), x.maximum(y), x.minimum(z), x + 1, 2 - x,
                x * 2.5, x / 4, aten.add.Scalar(x, 2), aten.sub.Scalar(x, 2), x + z,
                x.abs().pow(y), aten.mul.Scalar(x, 3), aten.div.Scalar(x, 3),
                torch.add(x, y, alpha=2), torch.sub(x, y, alpha=-3), 1 / x, x / 0,
                torch.rsub(x, y, alpha=2))  # fmt: skip

    check_tosa(mixed, (4, 3, 5), (3, 1), ())


def test_powers():
    check_tosa(
        lambda x: tuple(x**p for p in (1, 2, 3, 0.5, -0.5, -1, 2.5, -2)), (5, 7), positive=True
    )
    check_tosa(lambda x: (x**2, x**3, (-x) ** 3), (5, 7), dtype=torch.int64)


def test_comparisons_and_logic():
    def mixed(x, y, a, b):
        return (x == y, x != y, x > y, x >= y, x < y, x <= y, x > 0, x == 1, x < 2, x >= 0, x <= 1,
                x != 0, a.logical_and(b), a.logical_or(b), a.logical_xor(b), a.logical_not(), ~a,
                a & b, a | b, a ^ b, a == b, a > b, a <= b, x.logical_and(b),
                torch.where(a, x, y), torch.where(b, 1.0, x), x.clamp(-0.5, 0.5),
                x.clamp(min=0))  # fmt: skip

    check_tosa(mixed, (4, 5), (5,), torch.rand(4, 5) > 0.5, torch.rand(5) > 0.5)
    nan = torch.tensor([math.nan, 1.0, -math.inf])
    check_tosa(lambda x, y: (x == y, x != y, x < y, x >= y, x.bool()), nan, nan.flip(0))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8], ids=str)
def test_integers(dtype):
    def mixed(x, y):
        return (x + y, x - y, x * y, x > y, ~x, -x, abs(x), x.maximum(y), x.amax(1), x.float() * 2,
                x & y, x | y, x ^ y, x.sum(1), x.bool(), x / 3, (x > 0).sum(), x.clamp(-3, 3),
                aten.amin(x, [0]), x.to(torch.int16), (x > 0).to(dtype))  # fmt: skip

    check_tosa(mixed, (4, 5), (5,), dtype=dtype)


def test_products():
    def products(a, b, bias):
        return (a @ b, torch.addmm(bias, a, b), a[None] @ b[None],
                torch.addmm(bias, a, b, beta=2, alpha=0.5), torch.addmm(bias, a, b, beta=0),
                torch.baddbmm(bias, a[None], b[None]))  # fmt: skip

    check_tosa(products, (5, 7), (7, 33), (33,))
    check_tosa(lambda a, b: a @ b, (3, 5, 7), (3, 7, 9))


def test_reductions():
    def reduce(x):
        return (x.sum(1), x.sum((0, 2), keepdim=True), x.mean(-1), x.amax(1), x.amin((0, 1)),
                x.prod(1), (x > 0).any(1), (x > -1).all(0, keepdim=True), x.sum(), x.mean(),
                x.mean((1, 2)), x.any(0))  # fmt: skip

    check_tosa(reduce, (4, 5, 7))


def test_extrema_of_infinities():
    rows = torch.tensor([[-math.inf] * 2, [math.inf] * 2, [math.nan, -math.inf], [-math.inf, 0.0]])
    check_tosa(lambda x: (x.amax(1), x.amin(1), x.amax(), x.bfloat16().amax(1)), rows)


def test_softmax_of_masked_rows():
    rows = torch.randn(6, 9)
    rows[0, 3:], rows[1], rows[2, 4], rows[3, 1] = -math.inf, -math.inf, math.inf, math.nan
    rows[4] *= 1e30
    check_tosa(lambda x: (x.softmax(-1), x.log_softmax(-1), x.softmax(0)), rows)
    check_tosa(lambda x: x.softmax(0), (), left=["_softmax.default"])


def test_normalizations():
    def normalize(x, w, b, image, mean, variance):
        return (F.layer_norm(x, (7,), w, b), F.layer_norm(x, (5, 7)), F.rms_norm(x, (7,), w),
                *torch.native_layer_norm(x, (7,), w, None, 1e-5),
                F.batch_norm(image, mean, variance), F.batch_norm(x, mean, variance, mean, mean))  # fmt: skip

    variance = torch.rand(5) + 0.1
    check_tosa(normalize, (4, 5, 7), (7,), (7,), (2, 5, 3, 4), (5,), variance)


def test_shapes():
    def move(x, y):
        return (x.view(20, 3) + 1, x.permute(2, 0, 1) + 1, x[:, None] + 1, torch.cat([x, y], 1),
                aten.squeeze.dims(y, [1]) + 1, y.squeeze(1) + 1, aten._unsafe_view(x, [60]),
                x.reshape(3, 20) + 1, torch.cat([x, y > 0], 1), torch.stack([x, x + 1], -1),
                y.expand(2, 4, 5, 3) + 0, y.expand(-1, 5, -1).clone(), x.repeat(2, 1, 3),
                x[0, 0, 0].expand(2, 3) + 0, x.sum().repeat(3), x.detach() * 2)  # fmt: skip

    check_tosa(move, (4, 5, 3), (4, 1, 3))


def test_slices():
    def cut(x):
        return (x[1:3] + 1, x[-3:-1] + 1, x[:, -1] + 1, x[..., 2:100] + 1, x[1] + 1, x[-1, 2] + 1,
                *(p + 1 for p in x.split(2, 1)), *(p + 1 for p in x.split([1, 4], -1)),
                F.pad(x, (1, 2)), F.pad(x, (-1, 2, 0, -2), value=3.5), x.chunk(2)[1] + 1)  # fmt: skip

    check_tosa(cut, (6, 5, 5))
    check_tosa(cut, (6, 5, 5), dtype=torch.int64)
    check_tosa(lambda x: x[:, ::2] + 1, (4, 5), left=["slice.Tensor"])
    check_tosa(lambda x: x[2:2] + 1, (4, 5), left=["slice.Tensor", "add.Tensor"])


def test_constants():
    def make(x):
        return (torch.arange(5) + x, torch.arange(2.5, 7, 0.5), torch.arange(9, 1, -3),
                torch.full((2, 3), 7), torch.full((), 2.5), torch.full_like(x, -1),
                torch.where(x > 0, x * 0.5, torch.scalar_tensor(3.0)), x.to(torch.bfloat16), x.bool())  # fmt: skip

    check_tosa(make, (5,), dtype=torch.int32)
    check_tosa(lambda x: torch.arange(5000) + x, (1,), left=["arange.start_step"])


def test_indexing():
    def read(x, i, j, table, ids):
        return (F.embedding(ids, table), x[i], x[:, i], x[i, j], x[i, :, j], x[:, i, j],
                x[i[:, None], j], x[..., i], x[-i - 1], x.index_select(1, i),
                x.index_select(-1, j), table[ids], x[:, [3, 0]])  # fmt: skip

    i, j = torch.tensor([2, 0, 1]), torch.tensor([0, 3, 3])
    ids = torch.randint(0, 11, (2, 5))
    check_tosa(read, (4, 4, 4), i, j, (11, 6), ids)
    check_tosa(read, (4, 4, 4), i.int(), j.int(), (11, 6), ids.int())
    index = torch.randint(0, 4, (2, 3, 5))
    check_tosa(lambda x, i: (x.gather(2, i), x.gather(-1, i[:1, :1])), (2, 3, 4), index)
    check_tosa(lambda x, i: x.gather(0, i), (4, 3, 6), index)


@pytest.mark.parametrize("read", [
    lambda x, i: F.embedding(i, x), lambda x, i: x[i], lambda x, i: x[:, i],
    lambda x, i: x.gather(1, i[:, None]), lambda x, i: x.index_select(0, i),
], ids=["embedding", "index", "column", "gather", "select"])  # fmt: skip
def test_bad_indices_raise(read):
    step = compiled(read, dialect="tosa")
    x = torch.randn(4, 4)
    with torch.no_grad():
        assert torch.equal(step(x, torch.tensor([0, 3])), read(x, torch.tensor([0, 3])))
        for bad in (4, 2**40, -5):
            with pytest.raises(buddy.OutOfRangeError, match="index out of range"):
                step(x, torch.tensor([0, bad]))


def test_conv2d():
    def convolve(x, w, b):
        return (F.conv2d(x, w, b), F.conv2d(x, w, stride=2, padding=1), F.conv2d(x, w, b, dilation=2),
                F.conv2d(x, w, stride=(3, 4)), F.conv2d(x, w, b, stride=5, padding=(0, 2)))  # fmt: skip

    check_tosa(convolve, (2, 3, 9, 10), (5, 3, 3, 3), (5,))
    check_tosa(lambda x, w: F.conv2d(x, w, stride=2, padding=3), (1, 3, 12, 13), (4, 3, 7, 7))


def test_depthwise_convolutions():
    def convolve(x, w, b):
        return F.conv2d(x, w, b, padding=1, groups=3), F.conv2d(x, w, stride=2, groups=3)

    check_tosa(convolve, (2, 3, 9, 10), (3, 1, 3, 3), (3,))
    check_tosa(convolve, (2, 3, 9, 10), (6, 1, 3, 2), (6,))
    check_tosa(convolve, (2, 3, 9, 10), (6, 1, 3, 2), (6,), dtype=torch.bfloat16)


def test_convolutions_that_tosa_lacks():
    check_tosa(lambda x, w: F.conv2d(x, w, groups=2), (1, 4, 5, 5), (6, 2, 3, 3),
               left=["convolution.default"])  # fmt: skip
    check_tosa(F.conv_transpose2d, (1, 4, 5, 5), (4, 2, 3, 3), left=["convolution.default"])
    check_tosa(F.conv1d, (1, 4, 9), (2, 4, 3), left=["convolution.default"])


def test_max_pool():
    def pool(x):
        return (F.max_pool2d(x, 2), F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2, 3),
                F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.max_pool2d(x, (1, 3), (2, 1)),
                F.max_pool2d(x, 1, 3, ceil_mode=True))  # fmt: skip

    check_tosa(pool, (2, 3, 9, 10))
    check_tosa(pool, (3, 7, 8))
    check_tosa(pool, (2, 3, 9, 10), dtype=torch.bfloat16)
    x = torch.full((1, 1, 5, 5), -math.inf)
    x[0, 0, 4, 4], x[0, 0, 4, 0] = math.nan, 1
    check_tosa(pool, x)
    positions = ["max_pool2d_with_indices.default"]
    check_tosa(lambda x: F.max_pool2d(x, 2, return_indices=True), (1, 2, 4, 4), left=positions)
    check_tosa(lambda x: F.max_pool2d(x, 2, dilation=2), (1, 2, 6, 6), left=positions)


def test_average_pool():
    def pool(x):
        return (F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2, 3),
                F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
                F.avg_pool2d(x, 2, 3, ceil_mode=True), F.adaptive_avg_pool2d(x, (3, 1)),
                F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False))  # fmt: skip

    check_tosa(pool, (2, 3, 9, 10))
    check_tosa(pool, (2, 3, 9, 10), dtype=torch.bfloat16)
    left = ["avg_pool2d.default"]
    check_tosa(lambda x: F.avg_pool2d(x, 2, divisor_override=3), (1, 1, 4, 4), left=left)


@pytest.mark.parametrize("mask", [None, "causal", "bool", "float", "row"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_attention(mask, dtype):
    def attend(q, k, v, *masks):
        return F.scaled_dot_product_attention(q, k, v, *masks, is_causal=mask == "causal",
                                              enable_gqa=True)  # fmt: skip

    seen = torch.rand(2, 1, 6, 6) > 0.3
    seen[0, 0, 2] = False  # a query that sees nothing
    masks = {"bool": [seen], "float": [torch.randn(6, 6).to(dtype)], "row": [seen[:1, 0, :1]]}
    check_tosa(attend, (2, 4, 6, 8), (2, 2, 6, 8), (2, 2, 6, 5), *masks.get(mask, []), dtype=dtype)


def test_what_tosa_lacks_is_linalg():
    check_tosa(lambda x: x.double() + 1, (3, 8), left=["_to_copy.default", "add.Tensor"])
    check_tosa(lambda x: x.int(), (3, 8), left=["_to_copy.default"])
    check_tosa(lambda x: x.cumsum(0), (3, 8), left=["cumsum.default"])
    check_tosa(lambda x: x.softmax(1), (3, 0), left=["_softmax.default"])


def test_dynamic_shapes_are_linalg():
    step = torch.compile(
        lambda x: (x.exp() + 1).sum(1), backend="buddy", dynamic=True,
        options={"fallback": False, "dialect": "tosa"},
    )  # fmt: skip
    with torch.no_grad():
        for n in (3, 5):
            x = torch.randn(n, 4)
            torch.testing.assert_close(step(x), (x.exp() + 1).sum(1))
