# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops that raise: factorizations that check their matrices, as eager does."""

from __future__ import annotations

import buddy
import pytest
import torch
from checking import check, compiled
from test_gradients import check_gradients

L = torch.linalg
CLOSE = (2e-3, 2e-3)


def factors(x, b):
    return L.inv(x), L.solve(x, b), L.cholesky(x @ x.mT + torch.eye(3)), L.lu_factor(x).LU


def test_checked_factorizations():
    x = torch.randn(2, 3, 3) + 4 * torch.eye(3)
    check(factors, x, torch.randn(2, 3, 2), tolerance=CLOSE)
    check(lambda x: L.inv(x), torch.randn(0, 3, 3))


def test_gradients_of_checked_factorizations():
    def shifted(x, b):
        return factors(x + 4 * torch.eye(3), b)[:3]

    check_gradients(shifted, (2, 3, 3), (2, 3, 2), tolerance=CLOSE)


@pytest.mark.parametrize(
    ("op", "reason"),
    [(L.inv, "singular"), (L.cholesky, "not positive-definite"), (L.lu_factor, "singular")],
)
def test_matrices_that_cannot_be_factored(op, reason):
    call = compiled(lambda x: op(x * 2))
    bad = torch.stack([torch.eye(3), torch.zeros(3, 3)])
    with torch.no_grad():
        call(bad[:1].expand(2, 3, 3).clone())
        with pytest.raises(
            L.LinAlgError, match=rf"linalg\.{op.__name__[7:]} at .*{reason}"
        ) as info:
            call(bad)
    assert isinstance(info.value, buddy.LinearAlgebraError)
    assert buddy.stats()["nodes_fallback"] == 0


class Inverse(torch.nn.Module):
    def forward(self, x):
        return L.inv(x) * 2


def test_exported_programs(tmp_path):
    program = torch.export.export(Inverse(), (torch.eye(3),))
    buddy.compile_package(program, tmp_path / "package")
    for call in (buddy.compile(program), buddy.load_package(tmp_path / "package")):
        torch.testing.assert_close(call(torch.eye(3) * 4), torch.eye(3) / 2)
        with pytest.raises(buddy.BuddyError, match=r"linalg\.inv at .* singular"):
            call(torch.zeros(3, 3))
