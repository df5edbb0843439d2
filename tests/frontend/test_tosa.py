# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The TOSA lowerings against eager, and that they are the ones taken."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from checking import check, compiled

aten = torch.ops.aten
check_tosa = functools.partial(check, dialect="tosa")


def test_unary():
    ops = [aten.ceil, aten.cos, aten.erf, aten.exp, aten.floor, aten.sigmoid, aten.sin, aten.tanh,
           aten.abs, aten.neg, aten.relu]  # fmt: skip
    check_tosa(lambda x: tuple(op(x) for op in ops), (5, 17))
    check_tosa(lambda x: tuple(op(x) for op in ops), ())
    check_tosa(lambda x: (x.log(), x.reciprocal(), x.rsqrt()), (5, 17), positive=True)


def test_binary():
    def mixed(x, y, z):
        return (x + y, x - y, x * y, x / (y.abs() + 1), x.maximum(y), x.minimum(z), x + 1, 2 - x,
                x * 2.5, x / 4, aten.add.Scalar(x, 2), aten.sub.Scalar(x, 2), x + z,
                x.abs().pow(y), aten.mul.Scalar(x, 3), aten.div.Scalar(x, 3),
                torch.add(x, y, alpha=2))  # fmt: skip

    check_tosa(mixed, (4, 3, 5), (3, 1), ())


def test_comparisons_and_logic():
    def mixed(x, y, a, b):
        return (x == y, x > y, x >= y, x < y, x <= y, x > 0, x == 1, x < 2, x >= 0, x <= 1,
                a.logical_and(b), a.logical_or(b), a.logical_xor(b), a.logical_not(), ~a,
                torch.where(a, x, y), x.clamp(-0.5, 0.5), x.clamp(min=0))  # fmt: skip

    check_tosa(mixed, (4, 5), (5,), torch.rand(4, 5) > 0.5, torch.rand(5) > 0.5)


def test_integers():
    def mixed(x, y):
        return x + y, x - y, x * y, x > y, ~x, -x, abs(x), x.maximum(y), x.amax(1), x.float() * 2

    check_tosa(mixed, (4, 5), (5,), dtype=torch.int32)


def test_products():
    def products(a, b, bias):
        return a @ b, torch.addmm(bias, a, b), a[None] @ b[None], torch.addmm(bias, a, b, beta=2)

    check_tosa(products, (5, 7), (7, 33), (33,))


def test_reductions():
    def reduce(x):
        return (x.sum(1), x.sum((0, 2), keepdim=True), x.mean(-1), x.amax(1), x.amin((0, 1)),
                x.prod(1), (x > 0).any(1), (x > -1).all(0, keepdim=True), x.sum())  # fmt: skip

    check_tosa(reduce, (4, 5, 7))


def test_shapes():
    def move(x, y):
        return (x.view(20, 3) + 1, x.permute(2, 0, 1) + 1, x[:, None] + 1, torch.cat([x, y], 1),
                aten.squeeze.dims(y, [1]) + 1, aten._unsafe_view(x, [60]), x.reshape(3, 20) + 1,
                torch.cat([x, y.int()], 1))  # fmt: skip

    check_tosa(move, (4, 5, 3), (4, 1, 3))


def test_conv2d():
    def convolve(x, w, b):
        return F.conv2d(x, w, b), F.conv2d(x, w, stride=2, padding=1), F.conv2d(x, w, b, dilation=2)

    check_tosa(convolve, (2, 3, 9, 10), (5, 3, 3, 3), (5,))


def test_what_tosa_lacks_is_linalg():
    check_tosa(lambda x: (x.softmax(-1), x.double() + 1, F.layer_norm(x, (8,))), (3, 8))


def test_dynamic_shapes_are_linalg():
    step = torch.compile(
        lambda x: (x.exp() + 1).sum(1), backend="buddy", dynamic=True,
        options={"fallback": False, "dialect": "tosa"},
    )  # fmt: skip
    with torch.no_grad():
        for n in (3, 5):
            x = torch.randn(n, 4)
            torch.testing.assert_close(step(x), (x.exp() + 1).sum(1))


def test_tosa_ops_are_emitted(tmp_path):
    with torch.no_grad():
        compiled(lambda x: x.exp() @ x, dialect="tosa", dump_dir=tmp_path)(torch.ones(4, 4))
    graph = next(tmp_path.glob("*/00-graph.mlirbc")).read_bytes()
    assert b"tosa" in graph and b"matmul" in graph
