# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Registration and building blocks of the TOSA lowerings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mlir import ir
from mlir.dialects import tosa
from torch._ops import OpOverload

from ...types import TensorSpec, element_type, is_float
from ..emitter import Emitter
from ..registry import LOWERINGS, Lowering, left_to_linalg, lowers, without_factory_arguments

# No f64, which TOSA lacks, and no u8: upstream's lowering takes signless integers as signed.
TYPES = (torch.float32, torch.float16, torch.bfloat16,
         torch.int64, torch.int32, torch.int16, torch.int8, torch.bool)  # fmt: skip


class NotTosa(Exception):
    """Raised by a TOSA lowering for arguments that linalg serves; the message says why."""


def tosa_lowers(*overloads: OpOverload) -> Callable[[Lowering], Lowering]:
    """`lowers` for TOSA: the function sees only static tensors of TOSA's types.

    Other calls, and those for which it raises NotTosa, go to the linalg lowering.
    """

    def register(fn: Lowering) -> Lowering:
        for op in overloads:
            lowers(op, dialect="tosa")(_with_linalg(op, fn))
        return fn

    return register


def tosa_lowers_factory(*overloads: OpOverload) -> Callable[[Lowering], Lowering]:
    """`lowers_factory` for TOSA."""

    def register(fn: Lowering) -> Lowering:
        for op in overloads:
            tosa_lowers(op)(without_factory_arguments(op, fn))
        return fn

    return register


def _with_linalg(op: OpOverload, fn: Lowering) -> Lowering:
    @functools.wraps(fn)
    def lowering(e: Emitter, *args: Any, **kwargs: Any) -> Any:
        if _serves(e, (*args, *kwargs.values())):
            try:
                return fn(e, *args, **kwargs)
            except NotTosa:
                pass
        return left_to_linalg(op, LOWERINGS["linalg"][op])(e, *args, **kwargs)

    lowering.__signature__ = inspect.signature(fn)
    return lowering


def _serves(e: Emitter, arguments: Sequence[Any]) -> bool:
    """Whether the results that are read and all tensors among the arguments are TOSA's."""
    several = isinstance(e.out, tuple)
    specs = [spec for i, spec in enumerate(e.out) if i in e.read] if several else [e.out]
    for argument in arguments:
        values = argument if isinstance(argument, (list, tuple)) else [argument]
        specs += [e.spec(v) for v in values if isinstance(v, ir.Value)]
    return all(isinstance(s, TensorSpec) and _is_tosa(s) for s in specs)


def _is_tosa(spec: TensorSpec) -> bool:
    return spec.dtype in TYPES and all(isinstance(d, int) and d > 0 for d in spec.shape)


# Operands that are no tensors of the graph.


def shape_of(dims: Sequence[int]) -> ir.Value:
    """A constant shape operand."""
    kind = ir.Type.parse(f"!tosa.shape<{len(dims)}>")
    numbers = ", ".join(map(str, dims))
    values = ir.Attribute.parse(f"dense<[{numbers}]> : tensor<{len(dims)}xindex>")
    return tosa.ConstShapeOp(kind, values).result


def constant(e: Emitter, value: float | int | bool, dtype: torch.dtype, rank: int) -> ir.Value:
    """One number as a tensor of size 1 in every dimension."""
    spec = TensorSpec((1,) * rank, dtype)
    dense = ir.DenseElementsAttr.get_splat(spec.mlir_type(), _number(value, dtype))
    return e.track(tosa.ConstOp(dense).result, spec)


def _number(value: float | int | bool, dtype: torch.dtype) -> ir.Attribute:
    if is_float(dtype):
        return ir.FloatAttr.get(element_type(dtype), float(value))
    return ir.IntegerAttr.get(element_type(dtype), int(value))


def filled(e: Emitter, spec: TensorSpec, value: float | int | bool) -> ir.Value:
    """A tensor of one number; not a constant of that size, which would stand in the code."""
    return expand(e, constant(e, value, spec.dtype, spec.rank), spec.shape)


def sequence(e: Emitter, size: int, dtype: torch.dtype) -> ir.Value:
    """0, 1, ... below size: i [size] of an integer dtype."""
    if size > 4096:
        raise NotTosa("no op counts, and a constant of this length is too large for code")
    spec = TensorSpec((size,), dtype)
    numbers = [_number(i, dtype) for i in range(size)]
    return e.track(tosa.ConstOp(ir.DenseElementsAttr.get(numbers, spec.mlir_type())).result, spec)


def zero_point(e: Emitter, dtype: torch.dtype) -> ir.Value:
    """The zero point of what is not quantized."""
    return constant(e, 0, dtype, 1)


def no_shift() -> ir.Value:
    """The shift operand of tosa.mul outside of fixed-point arithmetic."""
    kind = ir.RankedTensorType.get([1], ir.IntegerType.get_signless(8))
    zero = ir.IntegerAttr.get(kind.element_type, 0)
    return tosa.ConstOp(ir.DenseElementsAttr.get_splat(kind, zero)).result


# Ops.


def emit(e: Emitter, op: Any, spec: TensorSpec, *operands: Any, **attributes: Any) -> ir.Value:
    """The one result of a TOSA op that takes its result type first."""
    return e.track(op(spec.mlir_type(), *operands, **attributes).result, spec)


def emit_inferred(e: Emitter, op: Any, spec: TensorSpec, *operands: Any, **attributes: Any):
    """The one result of a TOSA op that could infer its type: given, it stays torch's."""
    made = op(*operands, results=[spec.mlir_type()], **attributes)
    return e.track(made.result, spec)


def cast(e: Emitter, x: ir.Value, dtype: torch.dtype) -> ir.Value:
    """x in another dtype; only casts that round as torch does are TOSA's."""
    source = e.dtype(x)
    if source == dtype:
        return x
    if is_float(source) and not is_float(dtype) and dtype != torch.bool:
        raise NotTosa("tosa.cast rounds to the nearest integer, torch truncates")
    spec = e.spec(x).with_dtype(dtype)
    return emit(e, tosa.CastOp, spec, x)


def ranked(e: Emitter, x: Any, rank: int, dtype: torch.dtype) -> ir.Value:
    """An operand with leading 1s up to `rank`, in `dtype`; numbers become constants."""
    if not isinstance(x, ir.Value):
        if not isinstance(x, (int, float)):
            raise NotTosa("a number that depends on sizes")
        return constant(e, x, dtype, rank)
    x = cast(e, x, dtype)
    return reshape(e, x, (1,) * (rank - e.rank(x)) + tuple(e.shape(x)))


# Moving data.


def reshape(e: Emitter, x: ir.Value, dims: Sequence[int]) -> ir.Value:
    spec = e.spec(x).with_shape(dims)
    if spec == e.spec(x):
        return x
    return emit_inferred(e, tosa.ReshapeOp, spec, x, shape_of(spec.shape))


def transpose(e: Emitter, x: ir.Value, order: Sequence[int]) -> ir.Value:
    """Dimension i of the result is dimension order[i] of x."""
    order = list(order)
    if order == sorted(order):
        return x
    spec = e.spec(x).with_shape(e.shape(x)[d] for d in order)
    return emit(e, tosa.TransposeOp, spec, x, ir.DenseI32ArrayAttr.get(order))


def expand(e: Emitter, x: ir.Value, shape: Sequence[int]) -> ir.Value:
    """x broadcast to `shape`."""
    x = ranked(e, x, len(shape), e.dtype(x))
    times = [wide // own for wide, own in zip(shape, e.shape(x))]
    if all(t == 1 for t in times):
        return x
    return emit(e, tosa.TileOp, e.spec(x).with_shape(shape), x, shape_of(times))


def slice_(e: Emitter, x: ir.Value, start: Sequence[int], size: Sequence[int]) -> ir.Value:
    """A box of x."""
    if tuple(size) == e.shape(x):
        return x
    return emit(e, tosa.SliceOp, e.spec(x).with_shape(size), x, shape_of(start), shape_of(size))


def pad(e: Emitter, x, low: Sequence[int], high: Sequence[int], value) -> ir.Value:
    """x with `low` and `high` more elements per dimension, all `value`; negative ones crop."""
    cut = [(max(-a, 0), max(-b, 0)) for a, b in zip(low, high)]
    kept = [d - a - b for d, (a, b) in zip(e.shape(x), cut)]
    if min(kept, default=1) < 1:
        raise NotTosa("nothing is left of a tensor that is cropped")
    x = slice_(e, x, [a for a, _ in cut], kept)
    more = [max(n, 0) for pair in zip(low, high) for n in pair]
    if not any(more):
        return x
    spec = e.spec(x).with_shape(d + a + b for d, a, b in zip(kept, more[::2], more[1::2]))
    return emit(e, tosa.PadOp, spec, x, shape_of(more), constant(e, value, spec.dtype, 1))


def concat(e: Emitter, tensors: Sequence[ir.Value], dim: int, spec: TensorSpec) -> ir.Value:
    if len(tensors) == 1:
        return tensors[0]
    return emit_inferred(e, tosa.ConcatOp, spec, list(tensors), axis_of(dim))


def axis_of(dim: int) -> ir.Attribute:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(32), dim)
