# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors that a graph owns, small enough to stand in the code."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import arith
from torch._subclasses.fake_tensor import unset_fake_temporarily

from .lowering.emitter import Emitter
from .types import TensorSpec, element_type, is_float


def dense_constant(e: Emitter, value: torch.Tensor) -> ir.Value:
    """A small tensor of the graph as an arith.constant."""
    spec = TensorSpec(tuple(value.shape), value.dtype)
    element = element_type(spec.dtype)
    make = ir.FloatAttr.get if is_float(spec.dtype) else ir.IntegerAttr.get
    with unset_fake_temporarily():  # AOTAutograd compiles with only fake tensors allowed
        numbers = [make(element, x) for x in value.detach().flatten().tolist()]
    if not numbers:
        return e.empty(spec)
    kind = spec.mlir_type()
    return e.track(arith.constant(kind, ir.DenseElementsAttr.get(numbers, kind)), spec)
