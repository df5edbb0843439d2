# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as the one op `buddy.attention`, which the midend schedules whole."""

from __future__ import annotations

import math as pymath

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from .. import ops  # noqa: F401 - defines torch.ops.buddy.attention
from ..llm import attention as cache_attention  # noqa: F401 - and cached_attention
from ..types import TensorSpec
from .emitter import Emitter
from .registry import Unsupported, lowers

aten = torch.ops.aten


def attention(e: Emitter, query, key, value, *, valid=None, mask=None, scale=None, causal=False):
    """softmax(scale · q kᵀ + mask) v: q [B,H,T,D], k and v [B,Hkv,L,D] → [B,H,T,Dv]."""
    shape = (*e.shape(query)[:3], e.shape(value)[3])
    init = e.empty(TensorSpec(shape, e.dtype(query)))
    scale = 1 / pymath.sqrt(e.shape(query)[3]) if scale is None else scale
    optional = [x for x in (valid, mask) if x is not None]
    segments = [1, 1, 1, int(valid is not None), int(mask is not None), 1]
    op = ir.Operation.create(
        "buddy.attention",
        results=[init.type],
        operands=[query, key, value, *optional, init],
        attributes={
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get(segments),
            "scale": ir.FloatAttr.get(ir.F32Type.get(), float(scale)),
            "causal": ir.BoolAttr.get(bool(causal)),
        },
    )
    return e.track(op.results[0], e.spec(init))


@lowers(torch.ops.buddy.attention.default)
def buddy_attention(e: Emitter, query, key, value, mask, is_causal, scale):
    """`scaled_dot_product_attention` without dropout, as the backend hands it over."""
    return attention(e, query, key, value, mask=mask, scale=scale, causal=is_causal)


@lowers(aten._scaled_dot_product_flash_attention_for_cpu.default)
def flash_attention(
    e: Emitter, query, key, value, dropout_p=0.0, is_causal=False, *, attn_mask=None, scale=None
):
    """The log-sum-exp result only matters to gradients: it is not computed."""
    if dropout_p:
        raise Unsupported("dropout in attention")
    out = attention(e, query, key, value, mask=attn_mask, scale=scale, causal=is_causal)
    return out, None


@lowers(torch.ops.buddy.cached_attention.default)
def cached_attention(e: Emitter, query, key, value, key_cache, value_cache, position, scale):
    """Write T new keys and values at `position`, then attend to the position + T valid ones.

    query [B,H,T,D], key and value [B,Hkv,T,D], caches [B,Hkv,Lmax,D], position i64 [1].
    """
    zero = arith.constant(ir.IndexType.get(), 0)
    start = arith.index_cast(ir.IndexType.get(), tensor.extract(position, [zero]))
    keys = e.insert(e.cast(key, e.dtype(key_cache)), key_cache, [0, 0, start, 0])
    values = e.insert(e.cast(value, e.dtype(value_cache)), value_cache, [0, 0, start, 0])
    valid = arith.addi(start, e.index(e.shape(query)[2]))
    out = attention(e, query, keys, values, valid=valid, scale=scale, causal=True)
    return out, keys, values
