# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pointwise ops against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import check, compiled

aten = torch.ops.aten

UNBOUNDED = [
    aten.abs, aten.asinh, aten.atan, aten.ceil, aten.cos, aten.erf, aten.exp, aten.exp2,
    aten.expm1, aten.floor, aten.isinf, aten.isnan, aten.logical_not, aten.neg, aten.relu,
    aten.round, aten.sigmoid, aten.sign, aten.silu, aten.sin, aten.sinh, aten.cosh, aten.tan,
    aten.tanh, aten.trunc, aten.gelu, aten.leaky_relu, aten.elu, aten.hardtanh,
]  # fmt: skip
POSITIVE = [
    aten.log, aten.log10, aten.log1p, aten.log2, aten.reciprocal, aten.rsqrt, aten.sqrt,
    aten.acosh,
]  # fmt: skip
BOUNDED = [aten.acos, aten.asin, aten.atanh]


@pytest.mark.parametrize("shape", [(45, 17), (), (1, 3, 1), (0, 4)], ids=str)
def test_unary(shape):
    check(lambda x: tuple(op(x) for op in UNBOUNDED), shape)


def test_unary_of_limited_domain():
    check(lambda x: tuple(op(x + 1) for op in POSITIVE), (7, 9), positive=True)
    check(lambda x: tuple(op(torch.tanh(x)) for op in BOUNDED), (7, 9))


def test_special_values():
    x = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-40, 0.5, 2.5])
    ops = [aten.relu, aten.sign, aten.isnan, aten.isinf, aten.round, aten.logical_not, aten.abs]
    check(lambda x: (*(op(x) for op in ops), x.clamp(-1, 1), x != x, x.maximum(-x)), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types(dtype):
    ops = [torch.exp, torch.sigmoid, F.gelu, F.silu, torch.tanh, torch.neg, torch.erf]
    check(lambda x, y: (*(op(x) for op in ops), x + y, x * y, x / (y.abs() + 1)), (5, 33), (33,),
          dtype=dtype)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_integers(dtype):
    def arithmetic(x, y):
        return (x + y, x - y, x * y, x // y, x % y, torch.fmod(x, y), x / y, x > y, x <= y,
                torch.maximum(x, y), torch.minimum(x, y), x & y, x | y, x ^ y, ~x, x == y,
                torch.div(x, y, rounding_mode="trunc"), x.clamp(2, 5), abs(x), x.sign(),
                x.bool(), x + 1, x * 2, x.float(), torch.exp(x), 10 - x)  # fmt: skip

    x = torch.randint(0 if dtype == torch.uint8 else -20, 20, (6, 5)).to(dtype)
    check(arithmetic, x, torch.randint(1, 7, (5,)).to(dtype))


def test_shifts_and_powers():
    x = torch.randint(1, 5, (6,))
    check(
        lambda x: (
            x << 2,
            x << x,
            x >> 1,
            x >> x,
            x**2,
            x**0,
            x**5,
            x.bitwise_left_shift(x),
            x.bitwise_right_shift(x),
            aten.__lshift__.Scalar(x, 3),
            aten.__rshift__.Scalar(x, 1),
        ),
        x,
    )
    check(
        lambda x, y: (x**2, x**3, x**0.5, x**-1, x**-0.5, x**2.5, x**y, torch.pow(2.5, x), x**0),
        (4, 5), (5,), positive=True,
    )  # fmt: skip


def test_bool():
    def logic(x, y):
        return (x & y, x | y, x ^ y, ~x, x.logical_and(y), x.logical_or(y), x.logical_xor(y),
                x + y, x * y, x == y, x > y, x <= y, x.float(), x + 1)  # fmt: skip

    check(logic, (3, 7), (3, 1), dtype=torch.bool)


def test_binary_broadcast_and_promotion():
    def mixed(x, y, i, z):
        return (x + y, x - y, y * x, x / y, i + x, x > i, i / 2, z + i, torch.atan2(x, y),
                torch.where(i > 0, x, y), x + 1, 1 - x, x // y, x % y, torch.fmod(x, y),
                torch.add(x, y, alpha=2.5), torch.sub(x, y, alpha=-1), torch.rsub(x, y, alpha=2),
                i * 2.5, torch.floor_divide(x, y), torch.maximum(x, z), x == z, x != 0, x >= y,
                x < y, torch.div(x, y, rounding_mode="floor"), x.remainder(0.7), x.fmod(0.7),
                torch.div(x, 0.3, rounding_mode="trunc"))  # fmt: skip

    i = torch.randint(-3, 4, (4, 1, 1))
    check(mixed, (4, 3, 5), (3, 1), i, ())


def test_scalar_overloads():
    def scalars(x, i):
        return (aten.add.Scalar(x, 2, 3), aten.sub.Scalar(x, 2, 3), aten.rsub.Scalar(x, 2, 3),
                aten.mul.Scalar(x, 2.5), aten.div.Scalar(x, 2.5), aten.remainder.Scalar(i, 3),
                aten.div.Scalar_mode(x, 0.3, rounding_mode="floor"), aten.fmod.Scalar(i, 3),
                aten.bitwise_and.Scalar(i, 3), aten.bitwise_or.Scalar(i, 3),
                aten.bitwise_xor.Scalar(i, 3), aten.floor_divide.default(i, 3))  # fmt: skip

    check(scalars, (3, 5), torch.arange(-5, 5))
    names = ["eq", "ne", "lt", "le", "gt", "ge"]
    check(lambda x: tuple(getattr(aten, n).Scalar(x, 2) for n in names), torch.arange(5))
    check(lambda x, y: tuple(getattr(aten, n).Tensor(x, y) for n in names), (5,), (3, 5))


def test_selection():
    def choose(x, y, m):
        return (torch.where(m, x, y), torch.where(m, 1.5, y), torch.where(m, x, 0.0),
                x.masked_fill(m, -1.0), x.masked_fill(m, y[0, 0]), aten.where.ScalarSelf(m, 2, y),
                aten.where.ScalarOther(m, x, 3), aten.masked_fill.Scalar(x, m, 7),
                aten.masked_fill.Tensor(x, m, y[1, 1]))  # fmt: skip

    check(choose, (4, 5), (4, 5), torch.rand(4, 1) > 0.5)


def test_clamps_and_combinations():
    def mixed(x, y, z):
        return (x.clamp(-0.5, 0.5), x.clamp(min=0.1), x.clamp(max=0.1), x.clamp(y, z + 2),
                aten.clamp_min(x, 0.2), aten.clamp_max(x, 0.2), F.gelu(x, approximate="tanh"),
                torch.addcmul(x, y, z, value=2), torch.addcdiv(x, y, z.abs() + 1, value=0.5),
                torch.lerp(x, y, 0.3), aten.threshold_backward(x, y, 0.1), F.hardswish(x),
                F.softplus(x), F.hardsigmoid(x), F.mish(x), F.selu(x), F.relu6(x),
                aten.clamp.Tensor(x, y, None))  # fmt: skip

    check(mixed, (4, 5), (4, 5), (5,))


def test_non_contiguous_inputs():
    check(lambda x, y: x + y, torch.randn(6, 5).t(), torch.randn(5, 12)[:, ::2])
    check(lambda x: x * 2, torch.randn(1, 4).expand(3, 4))


# Of f32 the largest errors that ExpandMath states, in units in the last place, and where: between
# two numbers, and at powers of ten on both sides of zero (or of one side).
ULPS = {
    torch.exp: (1.1, (-87, 88.7), (-30, 1)),
    torch.exp2: (1.0, (-126, 127.9), (-30, 1)),
    torch.expm1: (2.5, (-17, 88), (-30, 1)),
    torch.log: (0.9, (0.1, 10), (-37, 38)),
    torch.log2: (1.8, (0.1, 10), (-37, 38)),
    torch.log1p: (2.5, (-0.9, 10), (-30, -1)),
    torch.erf: (1.0, (-5, 5), (-30, 0)),
    torch.tanh: (1.6, (-10, 10), (-30, 0)),
}


@pytest.mark.parametrize("function", ULPS, ids=lambda f: f.__name__)
def test_errors_in_the_last_place(function):
    ulps, (low, high), (small, large) = ULPS[function]
    count = 1 << 17
    powers = 10 ** torch.empty(count).uniform_(small, large)
    x = torch.cat([torch.empty(count).uniform_(low, high), powers, -powers if low < 0 else powers])
    exact = function(x.double())
    last_place = torch.nextafter(exact.abs().float(), torch.tensor(torch.inf)) - exact.abs().float()
    errors = (compiled(function)(x) - exact).abs() / last_place
    assert errors.max() <= ulps, x[errors.argmax()]
