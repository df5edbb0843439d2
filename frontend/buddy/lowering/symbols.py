# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Symbolic sizes: sympy expressions over the graph's symbols, and their `index` values."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import sympy
import torch
from mlir import ir
from mlir.dialects import arith, math, tensor
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.utils._sympy import functions

from ..types import Dim, TensorSpec, linear_symbol, simplify
from .registry import Unsupported


class Symbols:
    """The symbols of one function; each expression is computed once, where first needed.

    `bind` fixes symbols to numbers: their dimensions become static.
    """

    def __init__(self, bind: Mapping[sympy.Symbol, int] | None = None):
        self._bind = dict(bind or {})
        self._values: dict[sympy.Expr, ir.Value] = {}
        self.has_guarded = False  # whether a guard said more of a size than its expression

    def resolve(self, size: int | torch.SymInt | torch.SymFloat | sympy.Expr) -> Dim | float:
        """A size as an int, or as an expression over unbound symbols. Adds no guard.

        A real number that sizes give is a float, or such an expression.
        """
        if isinstance(size, torch.SymFloat):
            expr = size.node.expr.xreplace(self._bind)
            return float(expr) if expr.is_number else expr
        if isinstance(size, torch.SymInt):
            guarded = _guarded(size)
            self.has_guarded |= guarded is not None
            size = size.node.expr if guarded is None else guarded
        if isinstance(size, sympy.Expr):
            return simplify(size.xreplace(self._bind) if self._bind else size)
        return int(size)

    def spec(self, fake: torch.Tensor) -> TensorSpec:
        """Shape and dtype of a fake tensor."""
        return TensorSpec(tuple(self.resolve(d) for d in fake.shape), fake.dtype)

    def define(self, expr: sympy.Expr, value: ir.Value) -> None:
        """Let `value` (an index) stand for `expr`."""
        self._values.setdefault(expr, value)

    def define_missing(self, tensors: Sequence[tuple[ir.Value, Sequence[Dim]]]) -> None:
        """Symbols without an argument of their own are read off a dimension: s, or else a·s + b."""
        dims = [(v, i, dim) for v, shape in tensors for i, dim in enumerate(shape)]
        for value, axis, dim in sorted(dims, key=lambda entry: not _is_symbol(entry[2])):
            linear = linear_symbol(dim)
            if linear is None or self.knows(linear[0]):
                continue
            symbol, multiplier, offset = linear
            size = tensor.dim(value, self.value(axis))
            if not _is_symbol(dim):
                size = arith.subi(size, self.value(offset))
                size = arith.floordivsi(size, self.value(multiplier))
            self.define(symbol, size)

    def knows(self, expr: sympy.Expr) -> bool:
        return all(symbol in self._values for symbol in expr.free_symbols)

    def value(self, dim: Dim) -> ir.Value:
        """`dim` as an index value in the function's entry block."""
        if isinstance(dim, int):
            return arith.constant(ir.IndexType.get(), dim)
        if dim not in self._values:
            with _outside_regions():
                self._values[dim] = self._emit(dim)
        return self._values[dim]

    def real(self, expr: sympy.Expr) -> ir.Value:
        """A number computed from sizes, such as a ratio of two, as an f64: as Python computes it."""
        wide = ir.F64Type.get()
        if expr.is_number:
            return arith.constant(wide, float(expr))
        if expr.func is functions.ToFloat or expr.is_integer:
            size = self.value(expr.args[0] if expr.func is functions.ToFloat else expr)
            signed = arith.index_cast(ir.IntegerType.get_signless(64), size)
            return arith.sitofp(wide, signed)
        function = _REAL.get(expr.func)
        if function is None:
            raise Unsupported(f"the number {expr} cannot be computed")
        return function(*map(self.real, expr.args))

    def _emit(self, expr: sympy.Expr) -> ir.Value:
        if expr.is_Integer:
            return arith.constant(ir.IndexType.get(), int(expr))
        if expr.func in _ROUNDINGS:
            whole = _ROUNDINGS[expr.func](self.real(expr.args[0]))
            signed = arith.fptosi(ir.IntegerType.get_signless(64), whole)
            return arith.index_cast(ir.IndexType.get(), signed)
        if expr.func in _RELATIONS:
            predicate = arith.CmpIPredicate[_RELATIONS[expr.func]]
            holds = arith.cmpi(predicate, *map(self.value, expr.args))
            return arith.index_castui(ir.IndexType.get(), holds)
        fold = _FOLDS.get(expr.func)
        if fold is None:
            raise Unsupported(f"the size {expr} cannot be computed")
        operands = [self._values.get(a) or self._emit(a) for a in _operands(expr)]
        if expr.func in _DIVISIONS and not expr.args[1].is_Integer:
            # A divisor is positive wherever the result is used; a trap would be the processor's.
            operands[1] = arith.maxsi(operands[1], self.value(1))
        result = operands[0]
        for operand in operands[1:]:
            result = fold(result, operand)
        return result


def _outside_regions() -> ir.InsertionPoint:
    """Before the operation of the function's own block within which the current point is."""
    point = ir.InsertionPoint.current
    operation = point.block.owner.operation
    while operation.name != "func.func":
        point, operation = ir.InsertionPoint(operation), operation.parent.operation
    return point


def _is_symbol(dim: Dim) -> bool:
    return isinstance(dim, sympy.Symbol)


def _guarded(size: torch.SymInt) -> int | None:
    """The one size that guards allow though its expression stays: PyTorch broadcasts what is 1."""
    hint = size.node.hint
    if _is_symbol(size.node.expr) or hint is None or not statically_known_true(size == hint):
        return None
    return int(hint)


def _operands(expr: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """What the expression's op combines; a power is a product."""
    if expr.func is sympy.Pow:
        base, exponent = expr.args
        if not (exponent.is_Integer and exponent > 0):
            raise Unsupported(f"the size {expr} cannot be computed")
        return (base,) * int(exponent)
    return expr.args


_REAL = {
    sympy.Add: lambda *terms: functools.reduce(arith.addf, terms),
    sympy.Mul: lambda *factors: functools.reduce(arith.mulf, factors),
    functions.IntTrueDiv: arith.divf,
    functions.FloatTrueDiv: arith.divf,
    functions.FloatPow: math.powf,
    functions.OpaqueUnaryFn_sqrt: math.sqrt,
}

_ROUNDINGS = {
    functions.TruncToInt: lambda x: x,
    functions.FloorToInt: lambda x: math.floor(x),
    functions.CeilToInt: lambda x: math.ceil(x),
    functions.RoundToInt: lambda x: math.roundeven(x),
}

_FOLDS = {
    sympy.Add: arith.addi,
    sympy.Mul: arith.muli,
    sympy.Pow: arith.muli,
    sympy.Max: arith.maxsi,
    sympy.Min: arith.minsi,
    functions.Max: arith.maxsi,
    functions.Min: arith.minsi,
    functions.FloorDiv: arith.floordivsi,
    functions.CleanDiv: arith.floordivsi,
    functions.CeilDiv: arith.ceildivsi,
    functions.Mod: arith.remsi,
    functions.PythonMod: arith.remsi,
}
_DIVISIONS = (
    functions.FloorDiv,
    functions.CleanDiv,
    functions.CeilDiv,
    functions.Mod,
    functions.PythonMod,
)
# Relations are numbers too: 1 where they hold, 0 where they do not.
_RELATIONS = {
    sympy.Eq: "eq",
    sympy.Ne: "ne",
    sympy.Ge: "sge",
    sympy.Gt: "sgt",
    sympy.Le: "sle",
    sympy.Lt: "slt",
}
