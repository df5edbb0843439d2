# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.ops.buddy: ops that stand for a whole computation in captured graphs.

Each has an eager implementation, so that every captured graph also runs without a compiler.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F


@torch.library.custom_op("buddy::attention", mutates_args=())
def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    is_causal: bool,
    scale: float,
) -> torch.Tensor:
    """softmax(scale · q kᵀ + mask) v with grouped queries: q [B,H,T,D], k and v [B,Hkv,L,D]."""
    return F.scaled_dot_product_attention(
        query, key, value, mask, 0.0, is_causal, scale=scale, enable_gqa=True
    ).contiguous()


@attention.register_fake
def _(query, key, value, mask, is_causal, scale):
    return query.new_empty((*query.shape[:3], value.shape[3]))


def has_fixed_heads(*operands: torch.Tensor) -> bool:
    """Whether the number of heads, and their size, of all [B,H,T,D] are known ahead of the call."""
    return all(isinstance(x.shape[dim], int) for x in operands for dim in (1, 3))


@torch.library.custom_op("buddy::sizes", mutates_args=())
def sizes(values: Sequence[int]) -> torch.Tensor:
    """Sizes as i64 [len(values)]: what a caller without Python learns about a call's shapes."""
    return torch.tensor(list(values), dtype=torch.int64)


@sizes.register_fake
def _(values):
    return torch.empty(len(values), dtype=torch.int64)
