# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of bf16 and of bytes in AMX's tiles against eager.

A host without AMX runs them too: `amx_emulator.c` computes what its instructions mean.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from buddy import _runtime, driver
from checking import check

FEATURES = _runtime.cpu_features()
pytestmark = pytest.mark.skipif(
    "avx512bf16" not in FEATURES or not shutil.which("cc"), reason="needs AVX512_BF16, a C compiler"
)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    library = tmp_path_factory.mktemp("amx") / "emulator.so"
    source = Path(__file__).with_name("amx_emulator.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.emulated_products.restype = ctypes.c_long
    loaded.emulate_amx()
    return loaded


@pytest.fixture(autouse=True)
def tiles(request, monkeypatch, tmp_path):
    """Compiles for this CPU with AMX, and at the end makes sure that its tiles were used."""
    if "amx-bf16" in FEATURES:
        yield
        return
    emulator = request.getfixturevalue("emulator")
    original = driver.compiled_module

    @contextlib.contextmanager
    def compiled_module(bytecode, **options):
        options |= {"features": "host,+amx-bf16,+amx-int8", "cache": False}
        with original(bytecode, **options) as library:
            # What the emulator provides is not required of the CPU.
            code = library.read_bytes()
            for feature in (b"amx-tile", b"amx-bf16", b"amx-int8"):
                assert b'"+' + feature + b'"' in code
                code = code.replace(b'"+' + feature + b'"', b'"-' + feature + b'"')
            # The loader knows libraries by their paths.
            emulated = tmp_path / f"{len(list(tmp_path.iterdir()))}.so"
            emulated.write_bytes(code)
            yield emulated

    monkeypatch.setattr(driver, "compiled_module", compiled_module)
    before = emulator.emulated_products()
    yield
    assert emulator.emulated_products() > before


def bf16(*shape):
    """Products of two of them are sums of about 1, whatever their depth."""
    return (torch.randn(shape) / shape[-1] ** 0.25).bfloat16()


# Rows: whole blocks, one tile, a tile that repeats rows, lower tiles. Depths: whole steps, a step and a part, a
# part alone, odd ones.
@pytest.mark.parametrize(
    "m,n,k",
    [
        (64, 32, 64),
        (16, 33, 65),
        (17, 5, 31),
        (33, 130, 33),
        (49, 48, 9),
        (130, 100, 1030),
        (9, 7, 64),
    ],
)
def test_products_of_activations(m, n, k):
    def products(a, b, c):
        return a[0] @ b[0], a[0] @ c[0].t(), torch.bmm(a, b), torch.bmm(a, c.transpose(1, 2))

    check(products, bf16(2, m, k), bf16(2, k, n), bf16(2, n, k))


@pytest.mark.parametrize("m,n,k", [(64, 32, 64), (17, 5, 61), (33, 130, 66), (130, 100, 1030)])
def test_products_of_bytes(m, n, k):
    a, b, c = (torch.randint(-128, 128, s, dtype=torch.int8) for s in ((m, k), (k, n), (n, k)))
    check(lambda a, b: (torch._int_mm(a, b), torch._int_mm(a, c.t()) * 0.5), a, b)


@pytest.mark.parametrize("m,n,k", [(128, 96, 64), (37, 50, 129), (16, 16, 2000), (49, 700, 1000)])
def test_linear_with_epilogue(m, n, k):
    weight, bias = torch.nn.Parameter(bf16(n, k)), torch.nn.Parameter(bf16(n))

    def block(x, residual):
        return F.gelu(F.linear(x, weight, bias), approximate="tanh") + residual, x @ weight.t()

    check(block, bf16(m, k), bf16(m, n))


def test_dynamic_rows():
    weight = torch.nn.Parameter(bf16(70, 96))
    fn = torch.compile(
        lambda x: torch.relu(x @ weight.t()), backend="buddy", fullgraph=True, dynamic=True
    )
    for rows in (64, 5, 1, 16, 31, 200, 97):
        x = bf16(rows, 96)
        with torch.no_grad():
            torch.testing.assert_close(fn(x), torch.relu(x @ weight.t()))


@pytest.mark.parametrize("stride,dilation", [(1, 1), (2, 1), (1, 2)])
def test_convolutions(stride, dilation):
    weight, image = torch.nn.Parameter(bf16(40, 32, 3, 3)), bf16(1, 32, 11, 45)
    check(
        lambda x: (
            F.conv2d(x, weight, stride=stride, dilation=dilation),
            F.conv2d(x, weight, stride=stride, dilation=dilation, padding=(3, 1)),
        ),
        image,
    )


@pytest.mark.parametrize("size", [7, 9, 14, 17, 28])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_of_short_lines(size, stride):
    """A tile is a line, or an equal part of one; an odd line is left over."""
    weight = torch.nn.Parameter(bf16(40, 32, 3, 3))
    image = bf16(2, 32, stride * size, stride * size)
    check(lambda x: F.conv2d(x, weight, stride=stride, padding=1).relu(), image)


# Rows: decoding of a group, one tile, tiles of 14, blocks with rest, several tiles of rows. Depths:
# a step and a part, odd. Keys: some of a block, of a step.
@pytest.mark.parametrize(
    "rows,keys,depth,causal",
    [(7, 70, 64, False), (14, 33, 40, False), (49, 129, 33, False), (130, 130, 80, True)],
)
def test_attention(rows, keys, depth, causal):
    q, k, v = bf16(1, 6, rows, depth), bf16(1, 3, keys, depth), bf16(1, 3, keys, 48)
    check(
        lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal, enable_gqa=True),
        *(x.mul(2) for x in (q, k, v)),
    )


def test_attention_with_mask():
    q, mask = bf16(2, 4, 40, 64), torch.rand(2, 1, 40, 40) > 0.4
    mask[:, :, 3] = False
    mask[:, :, 3, 5] = True
    check(lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m), q, mask)


def test_groups_and_volumes():
    grouped, volume = (torch.nn.Parameter(bf16(*s)) for s in ((80, 32, 3, 3), (40, 32, 2, 3, 3)))
    check(
        lambda x: (
            F.conv2d(x, grouped, groups=2),
            F.conv3d(x[:, :32].view(1, 32, 3, 7, 45), volume, padding=1),
        ),
        bf16(1, 64, 21, 45),
    )


def test_what_padding_meets():
    """Infinities beyond the end of a row or of the depth are nobody's."""
    a, b = bf16(32, 40), bf16(40, 40)
    a[3], b[:, 7] = float("inf"), float("inf")
    check(lambda a, b: (a @ b, a[:, :39] @ b[:39], a[:, 1:] @ b[1:, 5:]), a.abs(), b.abs())
