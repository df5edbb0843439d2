# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors out of nothing: constants, ranges, and casts (which share the factory arguments)."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith, tensor

from .. import ops  # noqa: F401 - defines torch.ops.buddy.sizes
from ..types import compute_dtype
from . import scalar as s
from .emitter import Emitter
from .registry import lowers, lowers_factory

aten = torch.ops.aten


@lowers_factory(aten.full.default)
def full(e: Emitter, size, fill_value):
    return e.full(e.out, fill_value)


@lowers_factory(aten.full_like.default)
def full_like(e: Emitter, x, fill_value):
    return e.full(e.out, fill_value)


@lowers_factory(aten.scalar_tensor.default)
def scalar_tensor(e: Emitter, value):
    return e.full(e.out, value)


@lowers_factory(aten.zeros.default)
def zeros(e: Emitter, size):
    return e.full(e.out, 0)


@lowers_factory(aten.ones.default)
def ones(e: Emitter, size):
    return e.full(e.out, 1)


@lowers_factory(aten.zeros_like.default)
def zeros_like(e: Emitter, x):
    return e.full(e.out, 0)


@lowers_factory(aten.ones_like.default)
def ones_like(e: Emitter, x):
    return e.full(e.out, 1)


@lowers_factory(aten.empty.memory_format)
def empty(e: Emitter, size):
    return e.full(e.out, 0)  # defined contents cost little and make results repeatable


@lowers_factory(aten.empty_permuted.default)
def empty_permuted(e: Emitter, size, physical_layout):
    return e.full(e.out, 0)


@lowers_factory(aten.empty_strided.default)
def empty_strided(e: Emitter, size, stride):
    return e.full(e.out, 0)


@lowers_factory(aten.new_empty_strided.default)
def new_empty_strided(e: Emitter, x, size, stride):
    return e.full(e.out, 0)


@lowers_factory(aten.new_ones.default)
def new_ones(e: Emitter, x, size):
    return e.full(e.out, 1)


@lowers_factory(aten.new_zeros.default)
def new_zeros(e: Emitter, x, size):
    return e.full(e.out, 0)


@lowers_factory(aten.new_full.default)
def new_full(e: Emitter, x, size, fill_value):
    return e.full(e.out, fill_value)


@lowers_factory(aten.arange.default)
def arange_to(e: Emitter, end):
    return arange(e, 0, end)


@lowers_factory(aten.arange.start)
def arange_from(e: Emitter, start, end):
    return arange(e, start, end)


@lowers_factory(aten.arange.start_step)
def arange(e: Emitter, start, end, step=1):
    """start + i · step; whole numbers are computed as such even for a float result."""
    dtype = e.out.dtype
    whole = not any(isinstance(x, float) for x in (start, step))
    wide = torch.int64 if whole else compute_dtype(dtype)
    first, stride = e.number(start, wide), e.number(step, wide)

    def body():
        i = arith.index_cast(ir.IntegerType.get_signless(64), s.loop_index(0))
        steps = s.mul(s.cast(i, torch.int64, wide), stride)
        return s.cast(s.add(first, steps), wide, dtype)

    return e.map(body, [], e.out)


@lowers_factory(aten._to_copy.default)
def to_copy(e: Emitter, x):
    return e.cast(x, e.out.dtype)


@lowers(torch.ops.prims.convert_element_type.default)
def convert_element_type(e: Emitter, x, dtype):
    return e.cast(x, e.out.dtype)


@lowers(torch.ops.buddy.sizes.default)
def sizes(e: Emitter, values):
    """Sizes, and relations between them, as i64 [len(values)]."""
    wide = ir.IntegerType.get_signless(64)
    numbers = [arith.index_cast(wide, e.index(value)) for value in values]
    return tensor.from_elements(e.out.mlir_type(), numbers)
