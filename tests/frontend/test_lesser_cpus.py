# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is compiled for CPUs with fewer instructions than this one may have, against eager."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F
from buddy import _runtime, driver
from checking import check

pytestmark = pytest.mark.skipif(
    not {"avx2", "fma", "f16c"} <= set(_runtime.cpu_features()), reason="needs AVX2"
)
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True, params=["x86-64-v3", "host,-avx512bf16"])
def features(request, monkeypatch):
    original = driver.compiled_module

    @contextlib.contextmanager
    def compiled_module(bytecode, **options):
        with original(bytecode, **options | {"features": request.param}) as library:
            yield library

    monkeypatch.setattr(driver, "compiled_module", compiled_module)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products(dtype):
    def products(x, w, u):
        return x @ w, F.gelu(x @ w) @ u, x[:1] @ w

    check(products, (5, 33), (33, 60), (60, 7), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 33, 12), (5, 6, 16), (8, 4, 4)])
def test_convolutions(groups, channels, filters, dtype):
    def convolve(x, w):
        return F.relu(F.conv2d(x * channels**-0.5, w, padding=1, groups=groups))

    shape = (groups * filters, channels, 3, 3)
    tolerance = (1e-4, 1e-4) if dtype == torch.float32 else None
    check(convolve, (2, groups * channels, 9, 9), shape, dtype=dtype, tolerance=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows(dtype):
    def rows(x):
        return (torch.softmax(x, -1), F.layer_norm(x, x.shape[-1:]), x.amax(-1), x.argmax(-1),
                x.sort(-1)[0], x.cumsum(-1), x.sum(0))  # fmt: skip

    check(rows, (5, 37), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements(dtype):
    def elements(x, y):
        return (torch.where(x < y, x, -y), torch.maximum(x, y), x.clamp(-1, 0.5), x.exp() * 0.1,
                x == y, x.isnan(), (x * 3).int(), (x > 0).to(x.dtype), F.pad(x, (1, 2), value=1.5),
                x.t().contiguous(), torch.remainder(x, 0.75))  # fmt: skip

    check(elements, (5, 37), (5, 37), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention(dtype):
    check(F.scaled_dot_product_attention, *[(1, 2, 9, 16)] * 3, dtype=dtype)
