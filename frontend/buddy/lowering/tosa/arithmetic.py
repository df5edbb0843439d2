# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arithmetic on values and numbers, which the composed lowerings are written in.

Tensors broadcast as torch's do, and are of one dtype; half precision is widened before
(`widened`), so that it rounds once, at the end.
"""

from __future__ import annotations

import torch
from mlir import ir
from mlir.dialects import tosa

from ...types import TensorSpec, compute_dtype, product
from ..emitter import Emitter
from .builder import axis_of, cast, emit, emit_inferred, no_shift, ranked, reshape, zero_point

Operand = ir.Value | float | int


def widened(e: Emitter, x: ir.Value) -> ir.Value:
    """x in the dtype that arithmetic on it runs in."""
    return cast(e, x, compute_dtype(e.dtype(x)))


def _aligned(e: Emitter, *operands: Operand) -> list[ir.Value]:
    """Operands of one rank and dtype."""
    tensors = [x for x in operands if isinstance(x, ir.Value)]
    rank, dtype = max(map(e.rank, tensors)), e.dtype(tensors[0])
    return [ranked(e, x, rank, dtype) for x in operands]


def _broadcast(e: Emitter, *operands: ir.Value) -> tuple[int, ...]:
    return tuple(map(max, *map(e.shape, operands)))


def _two(e: Emitter, op, x: Operand, y: Operand, *more) -> ir.Value:
    x, y = _aligned(e, x, y)
    return emit(e, op, TensorSpec(_broadcast(e, x, y), e.dtype(x)), x, y, *more)


def add(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.AddOp, x, y)


def sub(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.SubOp, x, y)


def mul(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.MulOp, x, y, no_shift())


def div(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    """x · (1/y), which is how TOSA divides floats: the last bit may differ from a division."""
    if isinstance(y, ir.Value):
        return mul(e, x, reciprocal(e, y))
    return mul(e, x, 1 / y)


def power(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.PowOp, x, y)


def maximum(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.MaximumOp, x, y)


def minimum(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _two(e, tosa.MinimumOp, x, y)


def _compare(e: Emitter, make, op, x: Operand, y: Operand) -> ir.Value:
    x, y = _aligned(e, x, y)
    return make(e, op, TensorSpec(_broadcast(e, x, y), torch.bool), x, y)


def equal(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _compare(e, emit_inferred, tosa.EqualOp, x, y)


def greater(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _compare(e, emit, tosa.GreaterOp, x, y)


def greater_equal(e: Emitter, x: Operand, y: Operand) -> ir.Value:
    return _compare(e, emit, tosa.GreaterEqualOp, x, y)


def select(e: Emitter, condition: ir.Value, x: Operand, y: Operand) -> ir.Value:
    """x where the condition (bool) holds, else y."""
    x, y = _aligned(e, x, y)
    rank = max(e.rank(condition), e.rank(x))
    x, y = (ranked(e, v, rank, e.dtype(v)) for v in (x, y))
    condition = ranked(e, condition, rank, torch.bool)
    spec = TensorSpec(_broadcast(e, condition, x, y), e.dtype(x))
    return emit(e, tosa.SelectOp, spec, condition, x, y)


def unary(e: Emitter, op, x: ir.Value) -> ir.Value:
    return emit(e, op, e.spec(x), x)


def exp(e: Emitter, x: ir.Value) -> ir.Value:
    return unary(e, tosa.ExpOp, x)


def reciprocal(e: Emitter, x: ir.Value) -> ir.Value:
    return unary(e, tosa.ReciprocalOp, x)


def rsqrt(e: Emitter, x: ir.Value) -> ir.Value:
    return unary(e, tosa.RsqrtOp, x)


def sqrt(e: Emitter, x: ir.Value) -> ir.Value:
    """1 / (1/√x): zeros, infinities and NaN come out right, the last bit may not."""
    return reciprocal(e, rsqrt(e, x))


def negate(e: Emitter, x: ir.Value) -> ir.Value:
    zero = zero_point(e, e.dtype(x))
    return emit(e, tosa.NegateOp, e.spec(x), x, zero, zero)


def fold(e: Emitter, op, x: ir.Value, dims) -> ir.Value:
    """x reduced along dims (ascending), which stay as size 1: one op for each run of them."""
    kept = [1 if i in dims else d for i, d in enumerate(e.shape(x))]
    for first, last in reversed(_runs(dims)):
        shape = e.shape(x)
        merged = product(shape[first : last + 1])
        x = reshape(e, x, (*shape[:first], merged, *shape[last + 1 :]))
        spec = e.spec(x).with_shape((*shape[:first], 1, *shape[last + 1 :]))
        x = emit_inferred(e, op, spec, x, axis_of(first))
    return reshape(e, x, kept)


def _runs(dims) -> list[tuple[int, int]]:
    """The first and the last of each run of dims that follow one another."""
    firsts = [d for d in dims if d - 1 not in dims]
    lasts = [d for d in dims if d + 1 not in dims]
    return list(zip(firsts, lasts))


def total(e: Emitter, x: ir.Value, dims) -> ir.Value:
    return fold(e, tosa.ReduceSumOp, x, dims)


def average(e: Emitter, x: ir.Value, dims) -> ir.Value:
    return mul(e, total(e, x, dims), 1 / product([e.shape(x)[d] for d in dims]))


def peak(e: Emitter, x: ir.Value, dims) -> ir.Value:
    return fold(e, tosa.ReduceMaxOp, x, dims)
