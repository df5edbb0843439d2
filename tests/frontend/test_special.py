# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special functions against eager, over the ranges of their several formulas."""

from __future__ import annotations

import math

import pytest
import torch
from checking import check

S = torch.special
WIDE = torch.cat([torch.linspace(-9.7, 30, 61), torch.tensor([0.0, 1.0, 2.0, 0.5, 1e-3, 80.0])])
CLOSE = (1e-4, 1e-4)


def test_gamma():
    check(lambda x: (x.lgamma(), x.digamma()), WIDE, tolerance=CLOSE)
    check(
        lambda x: tuple(torch.polygamma(n, x) for n in range(4)), WIDE[WIDE > -5.1], tolerance=CLOSE
    )
    edges = torch.tensor([0.0, -0.0, -1.0, -2.5, math.inf, math.nan])
    check(lambda x: (x.lgamma(), x.digamma()), edges)
    check(lambda x: x.lgamma(), (7,), dtype=torch.float64, positive=True)
    check(lambda x: x.digamma(), (5,), dtype=torch.int64, positive=True)


def test_zeta():
    order = torch.tensor([0.5, 1.0, 1.5, 2.0, 3.3, 20.0])
    x = torch.tensor([[0.3], [1.0], [7.5], [40.0], [-2.0], [-2.5]])
    check(lambda s, x: S.zeta(s, x), order, x, tolerance=CLOSE)


def test_error_functions():
    unit = torch.linspace(-1, 1, 41)
    check(lambda x: x.erfinv(), unit, tolerance=CLOSE)
    check(lambda x: x.erfinv(), torch.tensor([1.5, 1e-9, -0.0, 0.9999999, math.nan]))
    check(lambda x: S.ndtri(x), torch.linspace(0, 1, 41), tolerance=CLOSE)
    check(lambda x: S.ndtri(x), torch.tensor([1e-30, -1.0, 2.0, math.nan]))
    check(lambda x: (x.erfc(), S.erfcx(x)), torch.linspace(-4, 60, 65), tolerance=CLOSE)
    check(lambda x: x.erfinv(), torch.linspace(-0.99, 0.99, 9, dtype=torch.float64))


def test_bessel_functions():
    check(lambda x: (S.i0(x), S.i1(x), S.i0e(x), S.i1e(x), S.spherical_bessel_j0(x),
                     S.modified_bessel_i0(x), S.modified_bessel_i1(x)), WIDE, tolerance=CLOSE)  # fmt: skip
    check(lambda x: S.spherical_bessel_j0(x), torch.tensor([math.inf, 0.0, -300.0]))


def test_bessel_functions_of_both_kinds():
    def ops(x):
        return S.bessel_j0(x), S.bessel_j1(x), S.bessel_y0(x), S.bessel_y1(x)

    check(ops, torch.linspace(-15, 40, 111), tolerance=CLOSE)
    check(ops, torch.tensor([0.0, 11.99, 12.01, 1e-3, 300.0, -0.5]), tolerance=CLOSE)

    def modified(x):
        return (S.modified_bessel_k0(x), S.modified_bessel_k1(x),
                S.scaled_modified_bessel_k0(x), S.scaled_modified_bessel_k1(x))  # fmt: skip

    check(
        modified, torch.tensor([0.0, 1e-4, 0.3, 1.0, 7.0, 19.9, 20.1, 60.0, -1.0]), tolerance=CLOSE
    )


def test_orthogonal_polynomials():
    def ops(x, n):
        return (S.chebyshev_polynomial_t(x, n), S.chebyshev_polynomial_u(x, n),
                S.chebyshev_polynomial_v(x, n), S.chebyshev_polynomial_w(x, n),
                S.hermite_polynomial_h(x, n), S.hermite_polynomial_he(x, n),
                S.laguerre_polynomial_l(x, n), S.legendre_polynomial_p(x, n))  # fmt: skip

    n = torch.arange(-1, 8).float()
    check(ops, torch.linspace(-0.9, 0.9, 7)[:, None], n, tolerance=(1e-3, 1e-3))

    def shifted(x, n):
        return (S.shifted_chebyshev_polynomial_t(x, n), S.shifted_chebyshev_polynomial_u(x, n),
                S.shifted_chebyshev_polynomial_v(x, n), S.shifted_chebyshev_polynomial_w(x, n))  # fmt: skip

    check(shifted, torch.linspace(0.1, 0.9, 5)[:, None], n, tolerance=(1e-3, 1e-3))


def test_empty_and_rank_0():
    check(lambda x: (x.lgamma(), x.erfinv(), S.i0(x)), (0, 3))
    check(lambda x: (x.lgamma(), x.erfc()), ())


def test_half_precision():
    check(lambda x: (x.lgamma(), x.erfinv(), S.i0(x)), (5,), dtype=torch.bfloat16)
    check(lambda x: x.erfc(), (5,), dtype=torch.float16)


@pytest.mark.parametrize(
    ("name", "bound"), [("exp", 1.1), ("exp2", 1.1), ("erf", 1.1), ("tanh", 1.5)]
)
def test_units_in_the_last_place(name, bound):
    """The vectorized functions stay within the error that their pass states."""
    function = getattr(torch, name)
    x = torch.cat([torch.linspace(-12, 12, 300_001), torch.logspace(-30, 1, 50_001)])
    compiled = torch.compile(function, backend="buddy", options={"fallback": False})
    actual = compiled(x)
    exact = function(x.double())
    unit = torch.nextafter(exact.float(), torch.tensor(math.inf)) - exact.float()
    assert ((actual - exact).abs() / unit).max() <= bound
    edges = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0])
    check(function, edges)
    assert torch.equal(compiled(edges).signbit()[1:], function(edges).signbit()[1:])
