# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax and normalizations against eager."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from checking import check, compiled

aten = torch.ops.aten


@pytest.mark.parametrize("shape", [(3, 17), (2, 3, 64), (5, 1), (), (0, 4)], ids=str)
def test_softmax(shape):
    check(lambda x: (x.softmax(-1), x.log_softmax(-1), x.softmax(0)), shape)


def test_softmax_of_infinities():
    x = torch.randn(4, 9).masked_fill(torch.ones(4, 9).triu(1).bool(), float("-inf"))
    check(lambda x: (x.softmax(-1), x.softmax(0)), x)


def test_layer_and_group_norm():
    def norms(x, w, b):
        return (F.layer_norm(x, (6,), w, b), F.layer_norm(x, (6,)), F.layer_norm(x, (4, 6)),
                F.layer_norm(x, (6,), w), F.group_norm(x, 2), F.rms_norm(x, (6,), w),
                F.group_norm(x, 2, x[0, :, 0], x[1, :, 1]), F.instance_norm(x))  # fmt: skip

    check(norms, (3, 4, 6), (6,), (6,))


def test_layer_norm_of_equal_elements():
    """Lanes are added by pairs, so that the sum of 2^k is exact, and so is the mean."""
    rows = torch.randn(50, 1)
    for count in (16, 64, 128):
        normalized = compiled(F.layer_norm)(rows.repeat(1, count), (count,))
        assert torch.equal(normalized, torch.zeros(50, count))


def test_batch_norm():
    check(lambda x, w, b, m, v: F.batch_norm(x, m, v.abs() + 0.5, w, b),
          (2, 3, 4, 5), (3,), (3,), (3,), (3,))  # fmt: skip
    check(lambda x, m, v: F.batch_norm(x, m, v.abs() + 0.5), (2, 3), (3,), (3,))


def test_what_frozen_statistics_say_is_prepared(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 16, 1), torch.nn.BatchNorm2d(16)).eval()
    x = torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        result = compiled(model, dump_dir=tmp_path)(x)
        torch.testing.assert_close(result, model(x))
    (dump,) = tmp_path.glob("*/02-kernels.mlir")
    text = dump.read_text()
    (kernel,) = re.findall(r"func private (@\w+)(?:(?!func private).)*?math\.sqrt", text, re.DOTALL)
    forward, prepare = text.split("func.func @prepare")
    assert f"call {kernel}(" not in forward
    assert f"call {kernel}(" in prepare


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_float_types(dtype):
    check(lambda x: (x.softmax(-1), F.layer_norm(x, (33,)), x.log_softmax(0)), (4, 33),
          dtype=dtype)  # fmt: skip


def test_softmax_of_what_is_rounded_to_half():
    """Its maximum is that of the rounded numbers: an unrounded one may be 200 off."""
    x, y = torch.tensor([804.0, 175, -612]), torch.tensor([255.0, 9, 4])
    check(lambda x, y: torch.outer(x, y).softmax(0), x.bfloat16(), y.bfloat16())
    check(lambda x, y: (x[:, None] * y).log_softmax(-1), x.bfloat16(), y.bfloat16())


def test_chain_of_norms_is_one_kernel():
    def residuals(x, y, weight):
        x = F.layer_norm(x + y, (48,), weight) + y
        return F.gelu(F.layer_norm(x, (48,), weight)) * 0.5

    check(residuals, (9, 48), (9, 48), (48,))


# Results of a row are written while the next one is computed, in runs that the last one need not
# fill.
MANY_ROWS = [(1024, 100), (3, 707, 33), (40, 37, 16), (2, 9, 64, 300)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", MANY_ROWS, ids=str)
def test_many_rows(shape, dtype):
    width = (shape[-1],)
    check(lambda x, y: (x * 0.5 + y).softmax(-1), shape, width, dtype=dtype)
    check(lambda x, y: F.layer_norm(x + y, width, y) + x, shape, width, dtype=dtype)
    check(lambda x: (F.rms_norm(x, width), x.log_softmax(-1)), shape, dtype=dtype)


def test_many_rows_some_of_which_are_no_numbers():
    x = torch.randn(777, 129)
    x[5, 3] = x[6, 128] = x[700, 0] = float("nan")
    x[8, 9] = x[9, 128] = x[44, 0] = float("inf")
    x[10], x[11, 1:], x[776, :5] = float("-inf"), float("-inf"), float("-inf")
    check(lambda x: (x.softmax(-1), x.amax(-1), x.amin(-1)), x)
    check(lambda x: (x.t().softmax(0), x.amax(), x[:4].amin()), x)


def test_many_rows_in_place():
    def from_maximum(x):
        return x.sub_(x.amax(-1, keepdim=True)).mul_(0.5)

    check(from_maximum, (900, 65))
