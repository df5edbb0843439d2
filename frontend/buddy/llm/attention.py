# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Attention over a KV cache, as one operator that the compiler knows.

Hugging Face models reach it through ``transformers.AttentionInterface``: with
``attn_implementation="buddy"`` each attention layer calls :func:`attend`, which finds its
layer's cache in the keyword argument ``buddy_cache`` that the models hand down untouched.
The operator also runs eagerly, so a captured graph can be checked without compiling it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from buddy.errors import ModelError

IMPLEMENTATION = "buddy"
# Keyword arguments of attention functions that change the result and that we do not have.
UNSUPPORTED = ("softcap", "s_aux", "position_bias")


@dataclass
class CacheArguments:
    """The KV cache of one call: per layer ``[1, kv_heads, max_seq_len, head_dim]``.

    ``position`` (int64 ``[1]``) is the number of tokens already in the cache.
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    position: torch.Tensor


@torch.library.custom_op("buddy::cached_attention", mutates_args=("k_cache", "v_cache"))
def cached_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    position: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Append ``k``/``v`` ``[B, Hkv, T, D]`` to the caches and attend with ``q`` ``[B, H, T, D]``.

    Query ``t`` sees the ``position + t + 1`` first tokens of the cache. Returns ``[B, H, T, D]``
    in q's dtype; scores are in q's dtype and their softmax in float32, as in transformers'
    eager attention.
    """
    start, length = int(position), q.shape[2]
    end = start + length
    if end > k_cache.shape[2]:
        raise IndexError(f"{end} tokens do not fit a cache of {k_cache.shape[2]}")
    k_cache[:, :, start:end] = k
    v_cache[:, :, start:end] = v
    groups = q.shape[1] // k.shape[1]
    keys = k_cache[:, :, :end].repeat_interleave(groups, dim=1)
    values = v_cache[:, :, :end].repeat_interleave(groups, dim=1)
    scores = q @ keys.transpose(2, 3) * scale
    visible = torch.ones(length, end, dtype=torch.bool, device=q.device).tril(start)
    scores = scores.masked_fill(~visible, float("-inf"))
    return scores.softmax(-1, dtype=torch.float32).to(q.dtype) @ values


@cached_attention.register_fake
def _(q, k, v, k_cache, v_cache, position, scale):
    return q.new_empty(q.shape)


def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
    """The attention function registered as "buddy" (signature fixed by transformers).

    Returns ``([B, T, H, D], None)``.
    """
    cache: CacheArguments = kwargs["buddy_cache"]
    layer = module.layer_idx
    keys, values = cache.keys[layer], cache.values[layer]
    check_supported(kwargs, keys.shape[2])
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    out = torch.ops.buddy.cached_attention(query, key, value, keys, values, cache.position, scale)
    return out.transpose(1, 2), None


def check_supported(kwargs: dict, max_seq_len: int) -> None:
    """Refuse attention variants that :func:`cached_attention` would silently get wrong."""
    for name in UNSUPPORTED:
        if kwargs.get(name) is not None:
            raise ModelError(f"attention with {name} is not supported")
    window = kwargs.get("sliding_window")
    if window is not None and window < max_seq_len:
        raise ModelError(
            f"sliding-window attention is not supported: the window is {window} tokens; "
            f"compile with --max-seq-len {window} or less, where it makes no difference"
        )


def register() -> None:
    """Make "buddy" known to transformers; registering again changes nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, attend)
