# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops as TOSA's own."""

from __future__ import annotations

import torch
from mlir.dialects import tosa

from ..emitter import Emitter
from .builder import (
    NotTosa,
    constant,
    emit,
    emit_inferred,
    no_shift,
    ranked,
    tosa_lowers,
    zero_point,
)

aten = torch.ops.aten

FLOAT_UNARY = {
    aten.ceil.default: tosa.CeilOp,
    aten.cos.default: tosa.CosOp,
    aten.erf.default: tosa.ErfOp,
    aten.exp.default: tosa.ExpOp,
    aten.floor.default: tosa.FloorOp,
    aten.log.default: tosa.LogOp,
    aten.reciprocal.default: tosa.ReciprocalOp,
    aten.rsqrt.default: tosa.RsqrtOp,
    aten.sigmoid.default: tosa.SigmoidOp,
    aten.sin.default: tosa.SinOp,
    aten.tanh.default: tosa.TanhOp,
}


def _register_unary(op, made) -> None:
    @tosa_lowers(op)
    def unary(e: Emitter, x):
        if e.dtype(x) != torch.float32:
            raise NotTosa
        return emit(e, made, e.out, x)


for _op, _made in FLOAT_UNARY.items():
    _register_unary(_op, _made)


@tosa_lowers(aten.abs.default)
def absolute(e: Emitter, x):
    return _unless_bool(e, x, lambda: emit(e, tosa.AbsOp, e.out, x))


@tosa_lowers(aten.neg.default)
def neg(e: Emitter, x):
    zero = zero_point(e, e.dtype(x))
    return _unless_bool(e, x, lambda: emit(e, tosa.NegateOp, e.out, x, zero, zero))


@tosa_lowers(aten.relu.default)
def relu(e: Emitter, x):
    zero = constant(e, 0, e.dtype(x), e.rank(x))
    return _unless_bool(e, x, lambda: emit(e, tosa.MaximumOp, e.out, x, zero))


@tosa_lowers(aten.logical_not.default, aten.bitwise_not.default)
def logical_not(e: Emitter, x):
    op = tosa.LogicalNotOp if e.dtype(x) == torch.bool else tosa.BitwiseNotOp
    if e.dtype(x) != e.out.dtype:
        raise NotTosa
    return emit(e, op, e.out, x)


def _unless_bool(e: Emitter, x, build):
    if e.dtype(x) == torch.bool:
        raise NotTosa
    return build()


def binary(e: Emitter, op, x, y, out=None):
    """A TOSA op on two operands of the result's rank and dtype."""
    out = out or e.out
    if out.dtype == torch.bool:
        raise NotTosa
    return emit(e, op, out, *(ranked(e, v, out.rank, out.dtype) for v in (x, y)))


def multiply(e: Emitter, x, y):
    if e.out.dtype == torch.bool:
        raise NotTosa
    operands = (ranked(e, v, e.out.rank, e.out.dtype) for v in (x, y))
    return emit(e, tosa.MulOp, e.out, *operands, no_shift())


BINARY = {
    (aten.maximum.default,): tosa.MaximumOp,
    (aten.minimum.default,): tosa.MinimumOp,
}


def _register_binary(op, made) -> None:
    @tosa_lowers(op)
    def two(e: Emitter, x, y):
        return binary(e, made, x, y)


for _ops, _made in BINARY.items():
    for _op in _ops:
        _register_binary(_op, _made)


@tosa_lowers(aten.mul.Tensor, aten.mul.Scalar)
def mul(e: Emitter, x, y):
    return multiply(e, x, y)


@tosa_lowers(aten.div.Tensor, aten.div.Scalar)
def div(e: Emitter, x, y):
    """x · (1/y), which is how TOSA divides floats: the last bit may differ from a division."""
    if not isinstance(y, (int, float)):
        y = ranked(e, y, e.rank(y), e.out.dtype)
        return multiply(e, x, emit(e, tosa.ReciprocalOp, e.spec(y), y))
    if y == 0:
        raise NotTosa
    return multiply(e, x, 1 / y)


@tosa_lowers(aten.pow.Tensor_Tensor)
def power(e: Emitter, x, y):
    if e.out.dtype != torch.float32:
        raise NotTosa
    return binary(e, tosa.PowOp, x, y)


def _scaled(e: Emitter, op, x, y, alpha):
    if alpha != 1:
        raise NotTosa
    return binary(e, op, x, y)


@tosa_lowers(aten.add.Tensor)
def add(e: Emitter, x, y, *, alpha=1):
    return _scaled(e, tosa.AddOp, x, y, alpha)


@tosa_lowers(aten.add.Scalar)
def add_scalar(e: Emitter, x, y, alpha=1):
    return _scaled(e, tosa.AddOp, x, y, alpha)


@tosa_lowers(aten.sub.Tensor)
def sub(e: Emitter, x, y, *, alpha=1):
    return _scaled(e, tosa.SubOp, x, y, alpha)


@tosa_lowers(aten.sub.Scalar)
def sub_scalar(e: Emitter, x, y, alpha=1):
    return _scaled(e, tosa.SubOp, x, y, alpha)


def compare(e: Emitter, op, x, y, swap=False):
    dtype = e.promote(x, y)
    if dtype == torch.bool:
        raise NotTosa
    x, y = (ranked(e, v, e.out.rank, dtype) for v in ((y, x) if swap else (x, y)))
    if op is tosa.EqualOp:
        return emit_inferred(e, op, e.out, x, y)
    return emit(e, op, e.out, x, y)


COMPARE = {  # the op, and whether it takes the operands the other way round
    "eq": (tosa.EqualOp, False),
    "gt": (tosa.GreaterOp, False),
    "ge": (tosa.GreaterEqualOp, False),
    "lt": (tosa.GreaterOp, True),
    "le": (tosa.GreaterEqualOp, True),
}


def _register_compare(op, made, swap) -> None:
    @tosa_lowers(op)
    def two(e: Emitter, x, y):
        return compare(e, made, x, y, swap)


for _name, (_made, _swap) in COMPARE.items():
    for _op in (getattr(aten, _name).Tensor, getattr(aten, _name).Scalar):
        _register_compare(_op, _made, _swap)

LOGICAL = {
    aten.logical_and.default: tosa.LogicalAndOp,
    aten.logical_or.default: tosa.LogicalOrOp,
    aten.logical_xor.default: tosa.LogicalXorOp,
}


def _register_logical(op, made) -> None:
    @tosa_lowers(op)
    def two(e: Emitter, x, y):
        if e.promote(x, y) != torch.bool:
            raise NotTosa
        return emit(e, made, e.out, *(ranked(e, v, e.out.rank, torch.bool) for v in (x, y)))


for _op, _made in LOGICAL.items():
    _register_logical(_op, _made)


@tosa_lowers(aten.where.self)
def where(e: Emitter, condition, x, y):
    if e.dtype(condition) != torch.bool:
        raise NotTosa
    condition = ranked(e, condition, e.out.rank, torch.bool)
    operands = (ranked(e, v, e.out.rank, e.out.dtype) for v in (x, y))
    return emit(e, tosa.SelectOp, e.out, condition, *operands)


@tosa_lowers(aten.clamp.default)
def clamp(e: Emitter, x, low=None, high=None):
    """maximum, then minimum: tosa.clamp wants both bounds, and in the element's own type."""
    for op, bound in ((tosa.MaximumOp, low), (tosa.MinimumOp, high)):
        if bound is not None:
            x = binary(e, op, x, bound)
    return x
