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

from ...types import TensorSpec, element_type
from ..emitter import Emitter
from ..registry import LOWERINGS, Lowering, lowers

TYPES = (torch.float32, torch.int32, torch.bool)


class NotTosa(Exception):
    """Raised by a TOSA lowering for arguments that linalg serves."""


def tosa_lowers(*overloads: OpOverload) -> Callable[[Lowering], Lowering]:
    """`lowers` for TOSA: the function sees only static tensors of TOSA's types.

    Other calls, and those for which it raises NotTosa, go to the linalg lowering.
    """

    def register(fn: Lowering) -> Lowering:
        for op in overloads:
            lowers(op, dialect="tosa")(_with_linalg(op, fn))
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
        return LOWERINGS["linalg"][op](e, *args, **kwargs)

    lowering.__signature__ = inspect.signature(fn)
    return lowering


def _serves(e: Emitter, arguments: Sequence[Any]) -> bool:
    """Whether the result and all tensors among the arguments are TOSA's."""
    specs = [e.out]
    for argument in arguments:
        values = argument if isinstance(argument, (list, tuple)) else [argument]
        specs += [e.spec(v) for v in values if isinstance(v, ir.Value)]
    return all(isinstance(s, TensorSpec) and _is_tosa(s) for s in specs)


def _is_tosa(spec: TensorSpec) -> bool:
    return spec.dtype in TYPES and all(isinstance(d, int) and d > 0 for d in spec.shape)


def shape_of(dims: Sequence[int]) -> ir.Value:
    """A constant shape operand."""
    kind = ir.Type.parse(f"!tosa.shape<{len(dims)}>")
    numbers = ", ".join(map(str, dims))
    values = ir.Attribute.parse(f"dense<[{numbers}]> : tensor<{len(dims)}xindex>")
    return tosa.ConstShapeOp(kind, values).result


def constant(e: Emitter, value: float | int | bool, dtype: torch.dtype, rank: int) -> ir.Value:
    """One number as a tensor of size 1 in every dimension."""
    spec = TensorSpec((1,) * rank, dtype)
    element = element_type(dtype)
    if dtype.is_floating_point:
        attribute = ir.FloatAttr.get(element, float(value))
    else:
        attribute = ir.IntegerAttr.get(element, int(value))
    dense = ir.DenseElementsAttr.get_splat(spec.mlir_type(), attribute)
    return e.track(tosa.ConstOp(dense).result, spec)


def zero_point(e: Emitter, dtype: torch.dtype) -> ir.Value:
    """The zero point of what is not quantized."""
    return constant(e, 0, dtype, 1)


def no_shift() -> ir.Value:
    """The shift operand of tosa.mul outside of fixed-point arithmetic."""
    kind = ir.RankedTensorType.get([1], ir.IntegerType.get_signless(8))
    zero = ir.IntegerAttr.get(kind.element_type, 0)
    return tosa.ConstOp(ir.DenseElementsAttr.get_splat(kind, zero)).result


def cast(e: Emitter, x: ir.Value, dtype: torch.dtype) -> ir.Value:
    """x in another dtype; only casts that round as torch does are TOSA's."""
    source = e.dtype(x)
    if source == dtype:
        return x
    if source.is_floating_point or dtype == torch.bool:
        raise NotTosa  # tosa.cast rounds to nearest, torch truncates
    spec = e.spec(x).with_dtype(dtype)
    return e.track(tosa.CastOp(spec.mlir_type(), x).result, spec)


def reshape(e: Emitter, x: ir.Value, dims: Sequence[int]) -> ir.Value:
    spec = e.spec(x).with_shape(dims)
    if spec == e.spec(x):
        return x
    op = tosa.ReshapeOp(x, shape_of(spec.shape), results=[spec.mlir_type()])
    return e.track(op.output, spec)


def ranked(e: Emitter, x: Any, rank: int, dtype: torch.dtype) -> ir.Value:
    """An operand with leading 1s up to `rank`, in `dtype`; numbers become constants."""
    if not isinstance(x, ir.Value):
        if not isinstance(x, (int, float)):
            raise NotTosa
        return constant(e, x, dtype, rank)
    x = cast(e, x, dtype)
    return reshape(e, x, (1,) * (rank - e.rank(x)) + tuple(e.shape(x)))


def emit(e: Emitter, op: Any, spec: TensorSpec, *operands: Any, **attributes: Any) -> ir.Value:
    """The one result of a TOSA op that takes its result type first."""
    return e.track(op(spec.mlir_type(), *operands, **attributes).result, spec)


def emit_inferred(e: Emitter, op: Any, spec: TensorSpec, *operands: Any, **attributes: Any):
    """The one result of a TOSA op that could infer its type: given, it stays torch's."""
    made = op(*operands, results=[spec.mlir_type()], **attributes)
    return e.track(made.result, spec)
