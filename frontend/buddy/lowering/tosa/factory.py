# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Constants, ranges and casts."""

from __future__ import annotations

import torch

from ...types import compute_dtype
from ..emitter import Emitter
from . import arithmetic as a
from .builder import NotTosa, cast, filled, sequence, tosa_lowers, tosa_lowers_factory

aten = torch.ops.aten


def _filled(e: Emitter, value):
    if not isinstance(value, (int, float)):
        raise NotTosa("a number that depends on sizes")
    return filled(e, e.out, value)


@tosa_lowers_factory(aten.full.default)
def full(e: Emitter, size, fill_value):
    return _filled(e, fill_value)


@tosa_lowers_factory(aten.full_like.default)
def full_like(e: Emitter, x, fill_value):
    return _filled(e, fill_value)


@tosa_lowers_factory(aten.scalar_tensor.default)
def scalar_tensor(e: Emitter, value):
    return _filled(e, value)


@tosa_lowers_factory(aten.arange.start_step)
def arange(e: Emitter, start, end, step=1):
    """start + i · step; whole numbers are computed as such even for a float result."""
    if not all(isinstance(x, (int, float)) for x in (start, step)):
        raise NotTosa("a range that depends on sizes")
    whole = not any(isinstance(x, float) for x in (start, step))
    counted = sequence(e, e.out.shape[0], torch.int64)
    counted = counted if whole else cast(e, counted, compute_dtype(e.out.dtype))
    counted = counted if step == 1 else a.mul(e, counted, step)
    counted = counted if start == 0 else a.add(e, counted, start)
    return cast(e, counted, e.out.dtype)


@tosa_lowers_factory(aten._to_copy.default)
def to_copy(e: Emitter, x):
    return cast(e, x, e.out.dtype)


@tosa_lowers(torch.ops.prims.convert_element_type.default)
def convert_element_type(e: Emitter, x, dtype):
    return cast(e, x, e.out.dtype)
