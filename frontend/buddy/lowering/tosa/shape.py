# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reshapes, permutations and joins."""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import tosa

from ..emitter import Emitter
from .builder import NotTosa, cast, emit, emit_inferred, reshape, tosa_lowers

aten = torch.ops.aten


@tosa_lowers(aten.view.default, aten._unsafe_view.default)
def view(e: Emitter, x, size):
    return reshape(e, x, e.out.shape)


@tosa_lowers(aten.unsqueeze.default)
def unsqueeze(e: Emitter, x, dim):
    return reshape(e, x, e.out.shape)


@tosa_lowers(aten.squeeze.dims)
def squeeze_dims(e: Emitter, x, dim):
    return reshape(e, x, e.out.shape)


@tosa_lowers(aten.permute.default)
def permute(e: Emitter, x, dims):
    if e.rank(x) < 2:
        raise NotTosa
    order = ir.DenseI32ArrayAttr.get([d % e.rank(x) for d in dims])
    return emit(e, tosa.TransposeOp, e.out, x, order)


@tosa_lowers(aten.cat.default)
def cat(e: Emitter, tensors, dim=0):
    if e.out.rank == 0 or len(tensors) < 2:
        raise NotTosa
    axis = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), dim % e.out.rank)
    operands = [cast(e, x, e.out.dtype) for x in tensors]
    return emit_inferred(e, tosa.ConcatOp, e.out, operands, axis)
