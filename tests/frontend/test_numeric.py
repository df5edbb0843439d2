# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops on how numbers are written, and on whole numbers, against eager."""

from __future__ import annotations

import math

import pytest
import torch
from checking import check

SPECIAL = [0.0, -0.0, 1.0, -1.5, 3e38, 1e-40, -1e-45, math.inf, -math.inf, math.nan, 0.3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_special_values(dtype):
    x = torch.tensor(SPECIAL, dtype=dtype)

    def ops(x, y):
        return (x.signbit(), torch.fmax(x, y), torch.fmin(x, y), x.copysign(y), x.angle(),
                torch.hypot(x, y), torch.nextafter(x, y))  # fmt: skip

    check(ops, x[:, None], x)
    check(lambda x: torch.frexp(x)[0], x)
    check(lambda x: torch.frexp(x), x[x.isfinite()])


def test_shapes_and_halves():
    check(lambda x, y: (torch.hypot(x, y), x.copysign(y), torch.fmax(x, y)), (3, 33), (33,))
    check(lambda x: (*torch.frexp(x), x.signbit()), (), dtype=torch.float16)
    check(lambda x: (x.signbit(), x.angle(), x.round(decimals=1)), (0, 2))


def test_sign_of_a_wider_number():
    x, sign = torch.randn(1).half(), torch.tensor(-1e-300, dtype=torch.float64)
    check(lambda x, y: (x.copysign(y), x.float().copysign(y)), x, sign)


def test_round_to_decimals():
    check(lambda x: (x.round(decimals=2), x.round(decimals=-1), x.round(decimals=0)), (50,))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8])
def test_integers(dtype):
    def ops(x, y):
        return torch.gcd(x, y), torch.lcm(x, y), torch.fmax(x, y), torch.fmin(x, y), x.signbit()

    check(ops, (40,), (40,), dtype=dtype)
    check(
        lambda x, y: (torch.gcd(x, y), torch.lcm(x, y)),
        torch.tensor([0, 0, 5]),
        torch.tensor([0, 3, 0]),
    )
    check(lambda x: x.signbit(), (4,), dtype=torch.bool)
