# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Torch's words for data and MLIR's, side by side. Knows no op.

MLIR is imported where it is needed: what launches a graph from the cache does without.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
import torch

if TYPE_CHECKING:
    from mlir import ir

Dim = int | sympy.Expr
"""A dimension: a number, or an expression over the graph's symbols."""

_ELEMENT_TYPES: dict[torch.dtype, Callable[[Any], ir.Type]] = {
    torch.float64: lambda ir: ir.F64Type.get(),
    torch.float32: lambda ir: ir.F32Type.get(),
    torch.float16: lambda ir: ir.F16Type.get(),
    torch.bfloat16: lambda ir: ir.BF16Type.get(),
    torch.int64: lambda ir: ir.IntegerType.get_signless(64),
    torch.int32: lambda ir: ir.IntegerType.get_signless(32),
    torch.int16: lambda ir: ir.IntegerType.get_signless(16),
    torch.int8: lambda ir: ir.IntegerType.get_signless(8),
    torch.uint8: lambda ir: ir.IntegerType.get_signless(8),
    torch.bool: lambda ir: ir.IntegerType.get_signless(1),
}

_SHORT_NAMES = {
    torch.float64: "f64",
    torch.float32: "f32",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.bool: "i1",
}

_DTYPES = {name: dtype for dtype, name in _SHORT_NAMES.items()}

DYNAMIC = -(2**63)  # `ir.ShapedType.get_dynamic_size()`


class UnsupportedType(Exception):
    """A dtype or layout that has no MLIR form here; the importer adds where."""


def element_type(dtype: torch.dtype) -> ir.Type:
    """MLIR's element type of a torch dtype (needs a current MLIR context)."""
    if dtype not in _ELEMENT_TYPES:
        raise UnsupportedType(f"dtype {dtype} is not supported")
    from mlir import ir

    return _ELEMENT_TYPES[dtype](ir)


def is_supported(value: torch.Tensor) -> bool:
    """Whether a tensor can be an argument of compiled code.

    A meta tensor stands for one whose data comes later, as when a language model is captured.
    """
    dense = value.layout == torch.strided and value.device.type in ("cpu", "meta")
    return dense and value.dtype in _ELEMENT_TYPES


def short_name(dtype: torch.dtype) -> str:
    """`f32` for torch.float32: how error messages and manifests call a dtype."""
    return _SHORT_NAMES.get(dtype) or str(dtype).removeprefix("torch.")


def dtype_named(name: str) -> torch.dtype:
    """The inverse of `short_name`; KeyError for an unknown word."""
    return _DTYPES[name]


def is_float(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype arithmetic runs in: half precision in f32 and u8 in i32, as eager torch does."""
    if dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return torch.int32 if dtype == torch.uint8 else dtype


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor value; symbolic dimensions are `?` in its MLIR type."""

    shape: tuple[Dim, ...]
    dtype: torch.dtype

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_shape(self, shape) -> TensorSpec:
        return TensorSpec(tuple(shape), self.dtype)

    def with_dtype(self, dtype: torch.dtype) -> TensorSpec:
        return TensorSpec(self.shape, dtype)

    def mlir_type(self) -> ir.RankedTensorType:
        from mlir import ir

        return ir.RankedTensorType.get(static_shape(self.shape), element_type(self.dtype))

    def __str__(self) -> str:
        return f"{short_name(self.dtype)}[{','.join(map(str, self.shape))}]"


def static_shape(shape) -> list[int]:
    """The shape with MLIR's marker in place of every symbolic dimension."""
    return [d if isinstance(d, int) else DYNAMIC for d in shape]


def product(dims) -> Dim:
    """The product of dimensions, a plain int whenever it is one."""
    if all(isinstance(dim, int) for dim in dims):
        return math.prod(dims)
    return simplify(sympy.Mul(*dims))


def linear_symbol(expr: Any) -> tuple[sympy.Symbol, int, int] | None:
    """(s, a, b) of a size a·s + b with a > 0, which is enough to tell s; None for any other."""
    if isinstance(expr, sympy.Symbol):
        return expr, 1, 0
    if not isinstance(expr, sympy.Expr) or len(expr.free_symbols) != 1:
        return None
    (symbol,) = expr.free_symbols
    multiplier, offset = _expand(expr).coeff(symbol, 1), _expand(expr).coeff(symbol, 0)
    if not (multiplier.is_Integer and multiplier > 0 and offset.is_Integer):
        return None
    if simplify(expr - multiplier * symbol - offset) != 0:
        return None
    return symbol, int(multiplier), int(offset)


def simplify(expr: Any) -> Dim:
    """A sympy expression as a `Dim`: constants become ints, so that `==` is structural."""
    if isinstance(expr, int):
        return expr
    expr = _expand(expr)
    return int(expr) if expr.is_Integer else expr


_expand = functools.lru_cache(maxsize=1024)(sympy.expand)


def describe(value: Any) -> str:
    """An argument of an FX node the way error messages show it."""
    if isinstance(value, torch.fx.Node):
        return describe(value.meta.get("val"))
    if isinstance(value, torch.Tensor):
        return f"{short_name(value.dtype)}[{','.join(map(str, value.shape))}]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(describe, value))}]"
    return str(value)


def may_be(unknown: ir.Type, known: ir.Type) -> bool:
    """Whether two tensor types differ in sizes that are dynamic in the first one only."""
    if unknown.rank != known.rank or unknown.element_type != known.element_type:
        return False
    sizes = zip(unknown.shape, known.shape)
    return all(a in (b, DYNAMIC) for a, b in sizes)
