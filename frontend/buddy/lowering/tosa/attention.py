# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in its plain form: scores, mask, softmax, product."""

from __future__ import annotations

import math

import torch

from ... import ops  # noqa: F401 - defines torch.ops.buddy.attention
from ..emitter import Emitter
from . import arithmetic as a
from .builder import NotTosa, cast, reshape, sequence, tosa_lowers, transpose
from .matmul import matmul

LOWEST, SMALLEST = torch.finfo(torch.float32).min, torch.finfo(torch.float32).tiny


@tosa_lowers(torch.ops.buddy.attention.default)
def attention(e: Emitter, query, key, value, mask, is_causal, scale):
    """softmax(scale · q kᵀ + mask) v: q [B,H,T,D], k and v [B,Hkv,L,D] → [B,H,T,Dv]."""
    batch, heads, queries, depth = e.shape(query)
    key_heads, keys = e.shape(key)[1:3]
    if is_causal and queries != keys:
        raise NotTosa("causal attention of some of the queries")
    # The queries that share a key head are rows of one product.
    rows = (batch * key_heads, heads // key_heads * queries)
    key = reshape(e, transpose(e, key, [0, 1, 3, 2]), (rows[0], depth, keys))
    value = reshape(e, value, (rows[0], keys, e.shape(value)[3]))
    scores = a.mul(e, matmul(e, reshape(e, query, (*rows, depth)), key), scale)
    scores = _masked(e, reshape(e, scores, (batch, heads, queries, keys)), mask, is_causal)
    weights = cast(e, reshape(e, _weights(e, scores), (*rows, keys)), e.dtype(value))
    return reshape(e, cast(e, matmul(e, weights, value), e.out.dtype), e.out.shape)


def _masked(e: Emitter, scores, mask, is_causal):
    """-inf where a query does not see a key."""
    if mask is not None and e.dtype(mask) != torch.bool:
        scores = a.add(e, scores, cast(e, mask, e.dtype(scores)))
    elif mask is not None:
        scores = a.select(e, mask, scores, -math.inf)
    if is_causal:
        place = sequence(e, e.shape(scores)[3], torch.int32)
        seen = a.greater_equal(e, reshape(e, place, (e.shape(place)[0], 1)), place)
        scores = a.select(e, seen, scores, -math.inf)
    return scores


def _weights(e: Emitter, scores):
    """Softmax along the keys. A query that sees nothing has the maximum -inf and weights of 0."""
    shifted = a.sub(e, scores, a.maximum(e, a.peak(e, scores, [3]), LOWEST))
    weights = a.exp(e, shifted)
    # Where anything is seen the sum is 1 or more.
    return a.div(e, weights, a.maximum(e, a.total(e, weights, [3]), SMALLEST))
