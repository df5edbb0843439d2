# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products against eager."""

from __future__ import annotations

import buddy
import pytest
import torch
import torch.nn.functional as F
from checking import assert_same, check

aten = torch.ops.aten


@pytest.mark.parametrize("m,k,n", [(5, 7, 33), (1, 64, 64), (17, 1, 3), (16, 32, 48), (0, 3, 4)])
def test_products(m, k, n):
    def products(a, b, bias):
        return (a @ b, a @ b.t().contiguous().t(), torch.addmm(bias, a, b),
                torch.addmm(bias, a, b, beta=0.5, alpha=2), torch.addmm(bias, a, b,
                beta=0))  # fmt: skip

    check(products, (m, k), (k, n), (n,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("m", [1, 5, 8, 13, 41, 97])
@pytest.mark.parametrize("n,k", [(33, 1), (130, 65), (64, 1030)])
def test_products_of_activations(m, n, k, dtype):
    def products(a, b, c):
        return (a[0] @ b[0], a[0] @ c[0].t(), torch.bmm(a, b), torch.bmm(a, c.transpose(1, 2)))

    # Sums of about 1, whatever their depth: the tolerances are those of one rounding or two.
    shapes = ((2, m, k), (2, k, n), (2, n, k))
    check(products, *((torch.randn(shape) / k**0.25).to(dtype) for shape in shapes))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_a_long_depth_wait_in_f32(dtype):
    product = torch.compile(
        torch.mm, backend="buddy", dynamic=True, options={"fallback": False}, fullgraph=True
    )
    for m, k, n in ((301, 2048, 600), (40, 1537, 33)):
        a, b = ((torch.randn(shape) / k**0.25).to(dtype) for shape in ((m, k), (k, n)))
        check(lambda a, b: a @ b, a, b)
        assert_same(product(a, b), a @ b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("m", [1, 5])
def test_few_rows_by_a_matrix_of_memory(m, dtype):
    """Row after row of it is read; what ends within a block or a vector has a remainder."""
    for k, n in ((517, 2083), (9, 140_000)):
        a, b = ((torch.randn(shape) / k**0.25).to(dtype) for shape in ((m, k), (k, n)))
        check(lambda a, b, c: (a @ b, torch.relu(a @ b + c)), a, b, torch.randn(n).to(dtype))
        product = torch.compile(lambda a, b: a @ b, backend="buddy", fullgraph=True)
        torch._dynamo.mark_dynamic(b, 1)
        assert_same(product(a, b), a @ b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("m", [1, 8, 9, 64, 100, 197])
@pytest.mark.parametrize("n,k", [(1000, 1024), (3001, 257)])
def test_products_by_weights_that_may_change(m, n, k, dtype):
    """They are read as they lie, row by row; lines that collide in a cache, and ends, included."""

    def linear(x, weight, bias, residual):
        y = F.linear(x, weight, bias)
        return F.gelu(y) + residual, y.t().contiguous(), F.softmax(x @ weight.t(), 1)

    shapes = ((m, k), (n, k), (n,), (m, n))
    check(linear, *((torch.randn(shape) / k**0.25).to(dtype) for shape in shapes))


@pytest.mark.parametrize("rows", [1, 7, 64, 128])
def test_large_weights_are_not_copied(rows):
    """They stay where they are: what is written to them is seen by the next call."""
    linear, columns = torch.nn.Linear(640, 700), torch.nn.Parameter(torch.randn(700, 640) / 26)
    compiled = torch.compile(
        lambda x: linear(x).relu() @ columns, backend="buddy", fullgraph=True, dynamic=False
    )
    x = torch.randn(rows, 640)
    with torch.no_grad():
        for factor in (1, -1, 0.5):
            linear.weight.mul_(factor)
            columns.mul_(factor)
            before = buddy.stats()["seconds"].get("prepare", 0)
            assert_same(compiled(x), (linear(x).relu() @ columns))
            assert buddy.stats()["seconds"]["prepare"] == before or factor == 1


def int8(*shape):
    return torch.randint(-128, 128, shape, dtype=torch.int8)


@pytest.mark.parametrize("m", [1, 5, 13, 97])
@pytest.mark.parametrize("n,k", [(33, 2), (130, 66), (64, 1031), (7, 0)])
def test_products_of_bytes(m, n, k):
    weight, scale = int8(n, k), torch.rand(n)

    def products(a, b, c):
        scaled = torch._int_mm(a, weight.t()) * scale
        return torch._int_mm(a, b), torch._int_mm(a, c.t()), scaled.bfloat16()

    check(products, int8(m, k), int8(k, n), int8(n, k))


def test_products_of_extreme_bytes():
    """Sums that wrap around, of products that only two's complement makes so large."""
    least = torch.full((17, 1 << 18), -128, dtype=torch.int8)
    check(lambda a, b: torch._int_mm(a, b.t()), least, least[:5])


def test_any_number_of_rows_of_bytes():
    product = torch.compile(torch._int_mm, backend="buddy", dynamic=True, fullgraph=True)
    for m, k, n in ((40, 37, 5), (3, 64, 70), (129, 1030, 260)):
        a, b = int8(m, k), int8(k, n)
        assert torch.equal(product(a, b), torch._int_mm(a, b))


def test_empty_inner_dimension():
    check(lambda a, b: a @ b, (3, 0), (0, 4))


def test_batches_and_vectors():
    def products(a, b, v):
        return (a @ b, a.transpose(1, 2) @ a, a @ v, torch.mv(a[0], v), torch.dot(v, v),
                torch.baddbmm(b[:, :1, :], a[:, :1], b, beta=2), torch.einsum("bij,bjk->ik", a, b),
                torch.addmv(a[0, :, 0], a[0], v))  # fmt: skip

    check(products, (3, 5, 7), (3, 7, 5), (7,))


def test_operands_whose_rows_are_scattered():
    """Slices with steps, and selections that leave out the innermost dimension."""

    def products(x, y):
        column = y.select(-1, 3)
        return (
            x @ x[..., :-1:2],
            x[..., ::2] @ x[..., :2, :],
            column @ column.mT,
            column[..., 1:] @ x,
        )

    check(products, (8, 4, 4), (8, 4, 5, 6))
    check(lambda x, y: torch.stack([x @ y, x, x @ y.T], -1), (5, 5), (5, 5))
    check(lambda x: F.scaled_dot_product_attention(*x.unbind(-1)), (1, 2, 7, 8, 3))


def test_linear():
    check(lambda x, w, b: (F.linear(x, w, b), F.linear(x, w)), (2, 3, 7), (5, 7), (5,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_other_types(dtype):
    check(lambda a, b: (a @ b, (a[None] @ b[None])), (9, 17), (17, 33), dtype=dtype)
