# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention against eager, as one op and over a cache."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from buddy.llm import attention as cache_attention  # noqa: F401 - defines cached_attention
from checking import check

aten = torch.ops.aten
TOLERANCE = (2e-5, 1e-4)


@pytest.mark.parametrize("queries,keys", [(7, 7), (1, 19), (33, 33)])
def test_plain_and_causal(queries, keys):
    def attend(q, k, v):
        plain = F.scaled_dot_product_attention(q, k, v)
        scaled = F.scaled_dot_product_attention(q, k, v, scale=0.3)
        return plain, scaled

    check(attend, (2, 4, queries, 16), (2, 4, keys, 16), (2, 4, keys, 16), tolerance=TOLERANCE)
    if queries == keys:
        check(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
              *[(1, 4, keys, 16)] * 3, tolerance=TOLERANCE)  # fmt: skip


def test_masks():
    def attend(q, k, v, selected, added):
        return (F.scaled_dot_product_attention(q, k, v, selected),
                F.scaled_dot_product_attention(q, k, v, added))  # fmt: skip

    selected = torch.ones(2, 1, 5, 9, dtype=torch.bool).tril(3)
    check(attend, (2, 4, 5, 16), *[(2, 4, 9, 16)] * 2, selected, (1, 1, 5, 9), tolerance=TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("depth", [31, 64])
def test_blocks(dtype, depth):
    """Several tiles of rows and blocks of keys, none of them whole."""

    def attend(q, k, v):
        return (F.scaled_dot_product_attention(q, k, v),
                F.scaled_dot_product_attention(q, k, v, is_causal=True))  # fmt: skip

    check(attend, *[(1, 2, 205, depth)] * 3, dtype=dtype,
          tolerance=TOLERANCE if dtype == torch.float32 else None)  # fmt: skip


def heads_of(x, heads):
    """[B,T,H*D] as models see it: [B,H,T,D]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "heads,shared,length,depth", [(2, 2, 205, 64), (4, 2, 13, 31), (6, 3, 1, 8)]
)
def test_heads_inside(dtype, heads, shared, length, depth):
    """Each operand, and the result, with the heads of a position side by side."""

    def attend(q, k, v):
        q, k, v = heads_of(q, heads), heads_of(k, shared), heads_of(v, shared)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        mixed = F.scaled_dot_product_attention(q.contiguous() + 1, k, v, enable_gqa=True)
        return out.transpose(1, 2).flatten(2), mixed.flatten(1)

    check(attend, (2, length, heads * depth), *[(2, length, shared * depth)] * 2, dtype=dtype,
          tolerance=TOLERANCE if dtype == torch.float32 else None)  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("cut", ["columns", "in_projection", "heads"])
def test_split_product(batch, cut):
    """Query, key and value as parts of one product: of its columns (GPT-2), moved outermost
    (torch.nn.MultiheadAttention), or side by side within the heads (GPT-NeoX)."""
    heads, depth = 3, 16

    def attend(x):
        if cut == "columns":
            parts = [heads_of(part, heads) for part in x.chunk(3, -1)]
        elif cut == "heads":
            parts = heads_of(x, heads).chunk(3, -1)
        else:
            x = x.transpose(0, 1).unflatten(-1, (3, -1)).unsqueeze(0).transpose(0, -2)
            parts = [part.reshape(-1, batch * heads, depth).transpose(0, 1)
                     .view(batch, heads, -1, depth)
                     for part in x.squeeze(-2).contiguous()]  # fmt: skip
        return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2).contiguous()

    check(attend, (batch, 37, 3 * heads * depth), tolerance=TOLERANCE)


def test_unknown_number_of_heads():
    """In a graph for any shape only the model tells the size of a head, and how many keys have."""

    def attend(q, k):
        k = k.view(*k.shape[:2], 2, 8).transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, k, enable_gqa=True)

    q, k = torch.randn(2, 4, 7, 8), torch.randn(2, 9, 16)
    fn = torch.compile(attend, backend="buddy", dynamic=True, options={"fallback": False})
    with torch.no_grad():
        torch.testing.assert_close(fn(q, k), attend(q, k))


def test_rows_without_keys():
    """Models hide keys by the lowest number: where all are, each counts the same."""
    mask = torch.zeros(1, 1, 5, 70)
    mask[..., 60:] = mask[..., 2, :] = torch.finfo(torch.float32).min
    check(F.scaled_dot_product_attention, (1, 2, 5, 16), *[(1, 2, 70, 16)] * 2, mask,
          tolerance=TOLERANCE)  # fmt: skip


def test_grouped_queries():
    check(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
          (1, 6, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8), tolerance=TOLERANCE)  # fmt: skip


def test_by_overload():
    flash = aten._scaled_dot_product_flash_attention_for_cpu.default
    check(lambda q, k, v: flash(q, k, v, 0.0, True)[0], *[(1, 4, 7, 16)] * 3, tolerance=TOLERANCE)


@pytest.mark.parametrize("length,position", [(5, 0), (1, 5), (4, 9)])
def test_cache(length, position):
    def step(q, k, v, keys, values, where):
        out = torch.ops.buddy.cached_attention(q, k, v, keys, values, where, 0.25)
        return out, keys, values

    check(step, (1, 4, length, 16), *[(1, 2, length, 16)] * 2, *[(1, 2, 32, 16)] * 2,
          torch.tensor([position]), tolerance=TOLERANCE)  # fmt: skip


@pytest.mark.parametrize("has_gradient", [False, True])
def test_one_op_unless_there_are_gradients(has_gradient, tmp_path):
    """Gradients may be enabled where no input has one, as they are by default."""
    torch._dynamo.reset()
    q, k, v = (torch.randn(1, 2, 9, 16) for _ in range(3))
    q.requires_grad_(has_gradient)
    expected = F.scaled_dot_product_attention(q, k, v)
    attend = torch.compile(
        F.scaled_dot_product_attention, backend="buddy", options={"dump_dir": tmp_path}
    )
    answer = attend(q, k, v)
    torch.testing.assert_close(answer, expected)
    assert answer.requires_grad == has_gradient
    graphs = "".join(path.read_text() for path in tmp_path.rglob("00-graph.mlir"))
    assert ("buddy.attention" in graphs) != has_gradient
