# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in parts: with gradients, whose backward reads the scores again, and where the number
or the size of heads is not known, which the op's schedule needs."""

from __future__ import annotations

import math

import torch

from ..ops import has_fixed_heads
from .registry import TRAINING, decomposes

aten = torch.ops.aten


def _scores(query, key, is_causal: bool, attn_mask, scale):
    """scale · q kᵀ + mask, in f32 for any narrower float."""
    wide = torch.promote_types(query.dtype, torch.float32)
    scale = _default_scale(query.shape[-1], query, wide) if scale is None else scale
    scores = torch.matmul(query.to(wide) * scale, key.to(wide).transpose(-2, -1))
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if attn_mask is None:
        return scores, scale
    if attn_mask.dtype == torch.bool:
        return scores.masked_fill(~attn_mask, -math.inf), scale
    return scores + attn_mask, scale


def _default_scale(size, query, dtype: torch.dtype):
    """1/√size; a size that only the call knows stays one."""
    return size**-0.5 if isinstance(size, int) else query.new_full((), size, dtype=dtype).rsqrt()


def _for_each_head(x, query):
    """[B, Hkv, L, D] once for each of the query's heads, which share them in order."""
    return (
        x if x.shape[1] == query.shape[1] else x.repeat_interleave(query.shape[1] // x.shape[1], 1)
    )


def _of_shared_heads(grad, heads: int):
    """Gradients [B, H, L, D] summed over the heads that share a key: [B, heads, L, D]."""
    return grad if grad.shape[1] == heads else grad.unflatten(1, (heads, -1)).sum(2)


@decomposes(aten._scaled_dot_product_flash_attention_for_cpu.default, table=TRAINING)
def forward(query, key, value, dropout_p=0.0, is_causal=False, *, attn_mask=None, scale=None):
    if dropout_p:
        return NotImplemented
    key, value = (_for_each_head(x, query) for x in (key, value))
    scores, _ = _scores(query, key, is_causal, attn_mask, scale)
    total = torch.logsumexp(scores, -1)
    weights = torch.exp(scores - total.unsqueeze(-1))
    out = torch.matmul(weights, value.to(weights.dtype)).to(query.dtype)
    # Laid out like the query, as eager has it.
    return (out if query.is_contiguous() else _heads_inside(out)), total


@decomposes(aten._scaled_dot_product_flash_attention_for_cpu.default)
def forward_of_any_size(
    query, key, value, dropout_p=0.0, is_causal=False, *, attn_mask=None, scale=None
):
    if has_fixed_heads(query, key, value):
        return NotImplemented
    return forward(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)


def _heads_inside(x):
    """[B, H, T, D] with the heads of one position side by side in memory."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


@decomposes(aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
def backward(
    grad_out,
    query,
    key,
    value,
    out,
    logsumexp,
    dropout_p,
    is_causal,
    *,
    attn_mask=None,
    scale=None,
):
    if dropout_p:
        return NotImplemented
    shared = key.shape[1]
    key, value = (_for_each_head(x, query) for x in (key, value))
    scores, scale = _scores(query, key, is_causal, attn_mask, scale)
    wide = scores.dtype
    weights = torch.exp(scores - logsumexp.unsqueeze(-1))
    grad_out = grad_out.to(wide)
    spread = torch.matmul(grad_out, value.to(wide).transpose(-2, -1))
    mean = (grad_out * out.to(wide)).sum(-1, keepdim=True)
    grad_scores = weights * (spread - mean) * scale
    grads = (
        torch.matmul(grad_scores, key.to(wide)),
        _of_shared_heads(torch.matmul(grad_scores.transpose(-2, -1), query.to(wide)), shared),
        _of_shared_heads(torch.matmul(weights.transpose(-2, -1), grad_out), shared),
    )
    return tuple(_heads_inside(g.to(x.dtype)) for g, x in zip(grads, (query, key, value)))
