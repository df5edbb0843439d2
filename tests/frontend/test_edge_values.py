# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops on the ends of each dtype's range, zeros of both signs, infinities and NaN."""

from __future__ import annotations

import math

import pytest
import torch
from checking import check, compiled

FLOATS = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 0.5, -0.5, 2.5, -3.5, 7.3, -7.3,
          1e-40, -1e-40, 1e-6, -1e-6, 6e4, 1e10, -3e38, 88.9, 0.1, -0.3]  # fmt: skip
FLOAT_DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
INT_DTYPES = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


def floats(dtype):
    return torch.tensor(FLOATS, dtype=torch.float64).to(dtype)


def integers(dtype, low: int | None = None):
    ends = torch.iinfo(dtype)
    values = {0, 1, 2, 3, 7, 100, ends.max, ends.max - 1, ends.min, ends.min + 1}
    values |= {-1, -2, -3, -7} if ends.min else set()
    return torch.tensor(sorted(v for v in values if low is None or v >= low), dtype=dtype)


def check_with_signs(fn, *args):
    """`check`, and zeros have eager's sign."""
    for actual, expected in zip(check(fn, *args), fn(*args)):
        zeros = (expected == 0) & expected.isfinite()
        assert torch.equal(actual[zeros].signbit(), expected[zeros].signbit())


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_floats(dtype):
    def unary(x):
        return (x.relu(), x.clamp(0, 1), x.clamp(max=0), torch.nn.functional.hardtanh(x),
                x.log(), x.log2(), x.log1p(), x.expm1(), x.erf(), x.round(), x.trunc(),
                torch.special.xlogy(x, x))  # fmt: skip

    def binary(x, y):
        return (torch.div(x, y, rounding_mode="floor"), torch.div(x, y, rounding_mode="trunc"),
                x % y, torch.fmod(x, y), x / y)  # fmt: skip

    x = floats(dtype)
    check_with_signs(unary, x)
    # Eager's own rest is NaN where the quotient leaves f32.
    size = x.abs()
    usual = x[(size == 0) | ((size > 1e-30) & (size < 1e30)) | ~x.isfinite()]
    check_with_signs(binary, usual[:, None], usual)
    check(lambda x, y: (torch.fmax(x, y), torch.fmin(x, y)), x[:, None], x)


def test_small_operands_in_f64():
    """exp(x) - 1 and log(1 + x) taken literally lose every digit."""
    x = torch.logspace(-300, 2, 400, dtype=torch.float64)
    check(lambda x: (x.expm1(), (-x).expm1(), x.log1p()), x, tolerance=(0, 1e-14))


@pytest.mark.parametrize("dtype", INT_DTYPES)
def test_integers(dtype):
    def binary(x, y, divisor, exponent):
        return (torch.div(x, divisor, rounding_mode="floor"), x % divisor, torch.fmod(x, divisor),
                torch.div(x, divisor, rounding_mode="trunc"), torch.gcd(x, y),
                x << y, x >> y, x**exponent, x**3, x**7, x // 3, x % 5)  # fmt: skip

    x = integers(dtype)
    divisors = x[(x != 0) & (x != -1)]  # by those eager itself traps: see below
    check(binary, x[:, None], x, divisors, integers(dtype, low=0))


def test_negative_exponents():
    x = torch.tensor([-3, -2, -1, 1, 2])[:, None]
    check(lambda x, y: (x**y, x.bool() ^ (y > 0)), x, torch.tensor([-3, -2, -1, 0, 4]))


def test_no_integer_division_traps():
    def quotients(x, y):
        return x // y, x % y, torch.fmod(x, y), torch.lcm(x, y)

    x = integers(torch.int64)
    by_zero = compiled(quotients)(x, torch.tensor(0))
    assert by_zero[3].tolist() == [0] * x.numel()
    quotient, rest, c_rest, _ = compiled(quotients)(x, torch.tensor(-1))
    assert torch.equal(quotient, -x)
    assert not rest.any() and not c_rest.any()


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
def test_casts_of_floats_wrap(dtype):
    check(lambda x: x.to(dtype), torch.tensor([-129.7, 300.2, -0.9, 127.5, 65537.0] * 8))


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_bessel_functions(dtype):
    x = floats(dtype)
    x = x[~(x.abs() > 80)]
    check_with_signs(lambda x: (torch.special.i1e(x), torch.special.i1(x)), x)


def test_functions_of_a_constant_that_is_not_a_number():
    def functions(x):
        nan = torch.full((9, 8), math.nan)
        return (
            nan.exp(),
            (x - nan).sigmoid(),
            nan.sin() + x,
            nan.tanh(),
            torch.exp2(nan),
            nan.pow(x),
        )

    check(functions, (9, 8))
