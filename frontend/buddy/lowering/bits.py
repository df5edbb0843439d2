# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors whose bits are read as another dtype, of the same width or not."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith

from ..types import TensorSpec, element_type, simplify
from . import scalar as s
from .emitter import Emitter
from .registry import Unsupported, lowers

aten = torch.ops.aten
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


@lowers(aten.view.dtype)
def view_dtype(e: Emitter, x, dtype):
    """Elements of the last dimension are taken apart or put together, the lowest bits first."""
    if torch.bool in (e.dtype(x), dtype):
        raise Unsupported("truth values, which are no bytes in compiled code")
    source, target = e.dtype(x).itemsize, dtype.itemsize
    bits = _reinterpreted(e, x, INTEGERS[source])
    if source > target:
        bits = _taken_apart(e, bits, source // target, INTEGERS[target])
    elif source < target:
        bits = _put_together(e, bits, target // source, INTEGERS[target])
    return _reinterpreted(e, bits, dtype)


def _reinterpreted(e: Emitter, x, dtype: torch.dtype):
    """The same bits as a dtype of the same width."""
    kind, spec = element_type(dtype), e.spec(x).with_dtype(dtype)
    if spec == e.spec(x):
        return x
    return e.map(lambda v: v if v.type == kind else arith.bitcast(kind, v), [x], spec)


def _shift(loop: int, width: int, kind: ir.Type):
    """Bits below part number `loop` of an element."""
    place = arith.index_cast(kind, s.loop_index(loop))
    return arith.muli(place, s.like(width, place))


def _taken_apart(e: Emitter, x, parts: int, dtype: torch.dtype):
    *outer, last = e.shape(x)
    column, narrow = e.reshape(x, (*outer, last, 1)), element_type(dtype)
    width = dtype.itemsize * 8

    def body(element):
        shifted = arith.shrui(element, _shift(len(outer) + 1, width, element.type))
        return arith.trunci(narrow, shifted)

    made = e.map(body, [column], TensorSpec((*outer, last, parts), dtype))
    return e.reshape(made, (*outer, simplify(last * parts)))


def _put_together(e: Emitter, x, parts: int, dtype: torch.dtype):
    *outer, _ = e.shape(x)
    rows = e.reshape(x, (*e.out.shape, parts))
    width, wide = e.dtype(x).itemsize * 8, element_type(dtype)

    def body(element, total):
        shift = _shift(len(outer) + 1, width, wide)
        return arith.ori(total, arith.shli(arith.extui(wide, element), shift))

    return e.reduce(rows, [len(outer) + 1], body, [(0, dtype)])[0]
