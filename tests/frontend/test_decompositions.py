# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Our own decompositions against eager: linear algebra of small matrices, distances."""

from __future__ import annotations

import pytest
import torch
from buddy import UnsupportedOpError
from buddy.decompositions.numbers import NUMBER_FIRST, NUMBER_LAST
from checking import check, compiled

aten = torch.ops.aten
L = torch.linalg
CLOSE = (2e-3, 2e-3)


def positive(*shape):
    x = torch.randn(*shape)
    return x @ x.transpose(-2, -1) + torch.eye(shape[-1])


@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 4, 4), (1, 1), (0, 0), (0, 3, 3)])
def test_factorizations(shape):
    x = torch.randn(shape)
    check(lambda x: (*L.lu_factor_ex(x), *L.lu(x)), x, tolerance=CLOSE)
    check(lambda x: (L.det(x), *L.slogdet(x), *L.inv_ex(x)), x, tolerance=CLOSE)
    p = positive(*shape)
    check(lambda p: (*L.cholesky_ex(p), L.cholesky_ex(p, upper=True).L), p, tolerance=CLOSE)


def test_rectangular_and_singular():
    check(lambda x: (*L.lu_factor_ex(x), *L.lu(x)), (4, 6), tolerance=CLOSE)
    check(lambda lu, p: torch.lu_unpack(lu, p), *L.lu_factor(torch.randn(2, 4, 4)), tolerance=CLOSE)
    check(lambda x: (*L.lu_factor_ex(x), *L.lu(x)), (6, 4), tolerance=CLOSE)
    singular = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    check(lambda x: (L.det(x), L.lu_factor_ex(x).info), singular)
    check(lambda x: L.cholesky_ex(x).info, torch.tensor([[1.0, 2.0], [2.0, 1.0]]))


def test_solvers():
    a, b, v = torch.randn(2, 4, 4), torch.randn(2, 4, 3), torch.randn(2, 4)

    def solve(a, b, v):
        lu, pivots, _ = L.lu_factor_ex(a)
        return (L.solve_ex(a, b).result, L.lu_solve(lu, pivots, b),
                L.lu_solve(lu, pivots, b, adjoint=True), L.solve_ex(a[0], v[0]).result,
                L.lu_solve(lu, pivots, b.transpose(1, 2), left=False))  # fmt: skip

    check(solve, a, b, v, tolerance=CLOSE)
    t = torch.randn(4, 4) + 4 * torch.eye(4)

    def triangles(t, b):
        return (L.solve_triangular(t, b[0], upper=True), L.solve_triangular(t, b, upper=False),
                L.solve_triangular(t, b.transpose(1, 2), upper=True, left=False),
                L.solve_triangular(t, b, upper=True, unitriangular=True),
                *torch.triangular_solve(b, t), *torch.triangular_solve(b, t, transpose=True))  # fmt: skip

    check(triangles, t, b, tolerance=CLOSE)
    check(lambda f, b: (torch.cholesky_solve(b, f), torch.cholesky_inverse(f)),
          t.tril(), b[0], tolerance=CLOSE)  # fmt: skip


def test_reflectors():
    check(lambda x, t: L.householder_product(x, t), (2, 5, 3), (2, 3), tolerance=CLOSE)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 5), (4, 4), (1, 1), (0, 0), (0, 3, 2)])
def test_orthogonal_factors(shape):
    def factors(x):
        return *torch.geqrf(x), *L.qr(x), *L.qr(x, "complete"), L.qr(x, "r").R

    check(factors, shape, tolerance=CLOSE)


def test_orthogonal_factors_of_deficient_matrices():
    x = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    check(lambda x: (*torch.geqrf(x), *L.qr(x), *L.qr(x * 0)), x, tolerance=CLOSE)


def test_products_with_orthogonal_factors():
    def products(a, t, b, c):
        return (torch.ormqr(a, t, b), torch.ormqr(a, t, b, transpose=True),
                torch.ormqr(a, t, c, left=False), torch.ormqr(a, t, c, False, True))  # fmt: skip

    check(products, (5, 3), (3,), (5, 2), (2, 5), tolerance=CLOSE)


def test_factors_that_are_asked_for():
    def unpack(lu, p):
        none, lower, upper = torch.lu_unpack(lu, p, unpack_pivots=False)
        return none, lower, upper, *torch.lu_unpack(lu, p, unpack_data=False)

    check(unpack, *L.lu_factor(torch.randn(2, 4, 4)), tolerance=CLOSE)


def test_large_matrices_stay_whole():
    with pytest.raises(UnsupportedOpError, match="linalg_inv_ex"):
        compiled(lambda x: L.inv_ex(x))(torch.randn(40, 40))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.5, float("inf")])
def test_distances(p):
    check(lambda x, y: torch.cdist(x, y, p), (2, 5, 3), (2, 4, 3))
    check(lambda x: torch.nn.functional.pdist(x, p), (5, 3))


def test_products():
    check(lambda x, a, b: (torch.addbmm(x, a, b), torch.addbmm(x, a, b, beta=0, alpha=2)),
          (3, 5), (2, 3, 4), (2, 4, 5))  # fmt: skip
    check(lambda x, a, b: torch.addbmm(x, a, b, beta=0.6, alpha=2.5),
          (3, 5), (2, 3, 4), (2, 4, 5), dtype=torch.int64)  # fmt: skip
    check(lambda a, b, w: torch.nn.functional.bilinear(a, b, w), (2, 3), (2, 4), (5, 3, 4))


def test_chosen_by_value():
    x = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    check(lambda x: (torch.nonzero_static(x, size=2), torch.nonzero_static(x, size=5),
                     torch.nonzero_static(x, size=4, fill_value=9)), x)  # fmt: skip
    check(lambda x: (x.histc(4), x.histc(3, 0, 2), x[:1, :1].histc(2)), x)
    check(lambda x: x.histc(10), (50,))


def test_most_frequent():
    x = torch.tensor([[3, 1, 2, 2, 1, 0], [5, 5, 5, 1, 1, 1], [4, 3, 2, 1, 0, 9]])
    check(lambda x: (*x.mode(), *x.mode(0, keepdim=True), *x[0, 0].mode(), *x[:, :1].mode(1)), x)
    check(lambda x: (*x.float().mode(), *x.T.mode(0)), x)


def test_numbers_and_tensors():
    """Python's operators, and every overload that has a number."""
    x = torch.tensor([1, 2, 3], dtype=torch.int32)

    def overloads(x):
        first = [op(77, x) for op in NUMBER_FIRST]
        return *first, *(op(x, 3) for op in NUMBER_LAST)

    check(overloads, x)
    check(lambda x: (5 % x, 7.5 % x, 5 % x[0], 7 << x, 700 >> x, x << 2), x)
    check(lambda x: (5 % x, torch.copysign(x, -1.0)), torch.tensor([[1.5, -2.0], [0.0, 3.0]]))


@pytest.mark.parametrize("window", ["hamming", "blackman", "bartlett", "kaiser"])
def test_windows(window):
    make = getattr(torch, f"{window}_window")
    check(lambda x: (x * make(8), x * make(8, periodic=False), make(1), make(0), make(7, dtype=torch.float64)),
          (8,))  # fmt: skip


def test_windows_of_other_shapes():
    check(lambda x: (x * torch.hamming_window(9, True, 0.5), x * torch.kaiser_window(9, False, 5.0),
                     x * torch.hamming_window(9, False, 0.5, 0.3)), (9,))  # fmt: skip


def test_resampling_of_volumes():
    check(lambda x: (aten.upsample_trilinear3d.default(x, [3, 7, 9], True),
                     aten.upsample_bilinear2d.default(x[0], [7, 9], False)), (1, 2, 3, 4, 5))  # fmt: skip


def test_views_by_strides():
    def windows(x):
        return (x.as_strided((3, 4, 2), (8, 1, 3)).contiguous(), x.as_strided((2, 3), (1, 2), 5).contiguous(),
                x.as_strided((4, 6), (6, 1)), x.as_strided((), (), 7))  # fmt: skip

    check(windows, (4, 6))
    check(
        lambda x: (x.T * 2).as_strided((5, 4), (3, 1)).contiguous(), (4, 6)
    )  # laid out by columns
    check(lambda x: x.mean(1, keepdim=True).as_strided((4, 1), (1, 4)), (4, 6))
    with pytest.raises(UnsupportedOpError, match="behind the last one"):
        compiled(lambda x: (x + 1).as_strided((2, 2), (1, 2)))(torch.zeros(2, 2)[:, ::2])


def test_writes_by_strides():
    def write(x, y):
        return (
            aten.as_strided_scatter(x, y, (3, 2), (6, 2), 1),
            aten.as_strided_scatter(x.T * 2, y, (3, 2), (1, 4)),
            aten.as_strided_scatter(y, y + 1, (3, 2), (2, 1)),
        )

    check(write, (4, 6), (3, 2))
