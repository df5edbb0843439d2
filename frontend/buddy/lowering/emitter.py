# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What lowerings build with: tensors on linalg, with broadcast, promotion and casts in one place.

Every tensor value an Emitter makes is remembered with its `TensorSpec`, so that lowerings ask
`e.spec(x)` for symbolic shapes and torch dtypes, which MLIR's types do not carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sympy
import torch
from mlir import ir
from mlir.dialects import arith, linalg, tensor

from ..types import Dim, TensorSpec, compute_dtype, element_type, static_shape
from . import reshape, scalar
from .symbols import Symbols

Number = float | int | bool
Operand = ir.Value | Number | sympy.Expr


class Emitter:
    """Builds the function of one graph; `out` is the result of the node being lowered.

    `out` is a `TensorSpec`, or a tuple of them for an op with several results; of those, `read`
    has the numbers of the ones that the graph reads, `returned` of those that its caller sees.
    A lowering may give None for the ones that are not read. `node` is the call itself; `checks`,
    where they are wanted, is what `bounds` adds to. `left_to_linalg` are the overloads that
    another dialect was wanted for and has no words for.
    """

    def __init__(self, symbols: Symbols, checks: bool = False):
        self.symbols = symbols
        self.node: Any = None
        self.checks: dict[Any, Any] | None = {} if checks else None
        self.out: Any = None
        self.read: set[int] = set()
        self.returned: set[int] = set()
        self.left_to_linalg: list[str] = []
        self._specs: dict[ir.Value, TensorSpec] = {}

    # What is known about a value.

    def track(self, value: ir.Value, spec: TensorSpec) -> ir.Value:
        """Remember the shape and dtype of a value; returns the value."""
        self._specs[value] = spec
        return value

    def spec(self, value: ir.Value) -> TensorSpec:
        return self._specs[value]

    def shape(self, value: ir.Value) -> tuple[Dim, ...]:
        return self._specs[value].shape

    def dtype(self, value: ir.Value) -> torch.dtype:
        return self._specs[value].dtype

    def rank(self, value: ir.Value) -> int:
        return self._specs[value].rank

    def is_empty(self, spec: TensorSpec) -> bool:
        return 0 in spec.shape

    # Sizes.

    def index(self, dim: Dim) -> ir.Value:
        """A size as an index value."""
        return self.symbols.value(dim)

    def sizes(self, dims: Sequence[Dim]) -> list[ir.Value]:
        """Index values of the dynamic sizes among `dims`: the operands of tensor ops."""
        return [self.symbols.value(d) for d in dims if not isinstance(d, int)]

    # New tensors.

    def empty(self, spec: TensorSpec) -> ir.Value:
        """A tensor without contents, to be written into."""
        value = tensor.EmptyOp(
            [d if isinstance(d, int) else self.index(d) for d in spec.shape],
            element_type(spec.dtype),
        ).result
        return self.track(value, spec)

    def full(self, spec: TensorSpec, value: Number | sympy.Expr | ir.Value) -> ir.Value:
        """A tensor of one number; `value` may be an MLIR scalar of the element type already."""
        out = self.empty(spec)
        if self.is_empty(spec):
            return out
        if not isinstance(value, ir.Value):
            value = self.number(value, spec.dtype)
        return self.track(linalg.fill(value, outs=[out]), spec)

    def number(self, value: Number | sympy.Expr, dtype: torch.dtype) -> ir.Value:
        """A Python number, or one that depends on sizes, as an MLIR scalar of `dtype`."""
        if not isinstance(value, sympy.Expr):
            return scalar.constant(value, element_type(dtype))
        if not value.is_integer:
            return scalar.cast(self.symbols.real(value), torch.float64, dtype)
        wide = arith.index_cast(ir.IntegerType.get_signless(64), self.index(value))
        return scalar.cast(wide, torch.int64, dtype)

    # Elementwise.

    def pointwise(
        self,
        fn: Callable[..., ir.Value],
        *operands: Operand,
        dtype: torch.dtype | None = None,
        out: TensorSpec | None = None,
        keep: Sequence[int] = (),
    ) -> ir.Value:
        """`fn` on the elements of the operands, broadcast to the shape of `out`.

        The elements come as `dtype` (default: the result's own, or for boolean results the
        promoted dtype of the operands), in the precision that eager computes with; the
        result is cast to out's dtype. Numbers and symbolic sizes are operands like tensors.
        Operands at the positions `keep` come as they are stored (a condition, an index).
        """
        out = out or self.out
        if dtype is None:
            promoted = [x for i, x in enumerate(operands) if i not in keep]
            dtype = self.promote(*promoted) if out.dtype == torch.bool else out.dtype
        wraps = dtype == torch.uint8  # -1 is 255, before it is computed with as i32
        dtype = compute_dtype(dtype)
        tensors = [x for x in operands if isinstance(x, ir.Value)]
        numbers = [
            None
            if isinstance(x, ir.Value)
            else self.number(x % 256 if wraps and isinstance(x, int) else x, dtype)
            for x in operands
        ]

        def body(*elements: ir.Value) -> ir.Value:
            given = iter(zip(elements, tensors))
            arguments = []
            for position, number in enumerate(numbers):
                if number is None:
                    element, source = next(given)
                    stored = self.dtype(source)
                    wanted = stored if position in keep else dtype
                    if wraps and position not in keep:
                        element, stored = scalar.cast(element, stored, torch.uint8), torch.uint8
                    number = scalar.cast(element, stored, wanted, implicit=True)
                arguments.append(number)
            return self.to_dtype(fn(*arguments), dtype, out.dtype)

        return self.map(body, tensors, out)

    @staticmethod
    def to_dtype(x: ir.Value, dtype: torch.dtype, target: torch.dtype) -> ir.Value:
        """An element computed in `dtype` as `target`; i1 elements are truth values already."""
        dtype = torch.bool if scalar.is_bool_value(x) else dtype
        return scalar.cast(x, dtype, target, implicit=True)

    def map(self, body: Callable[..., ir.Value], tensors, out: TensorSpec) -> ir.Value:
        """A parallel linalg.generic over out's shape; `body` gets elements as they are stored."""
        if self.is_empty(out):
            return self.empty(out)
        aligned = [self._align(x, out.shape) for x in tensors]
        maps = [m for _, m in aligned] + [ir.AffineMap.get_identity(out.rank)]
        values = [v for v, _ in aligned]
        inits = [self.empty(out)]
        return self.generic(values, inits, maps, out.rank, 0, lambda *xs: body(*xs[:-1]))[0]

    def generic(self, inputs, inits, maps, parallel: int, reduction: int, body) -> list[ir.Value]:
        """A linalg.generic: parallel loops first, then reduction loops.

        `body` takes one element of each input and init and returns the new element of each
        init, alone or as a tuple.
        """
        iterators = [_iterator("parallel")] * parallel + [_iterator("reduction")] * reduction
        op = linalg.GenericOp(
            [x.type for x in inits],
            inputs,
            inits,
            ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps]),
            ir.ArrayAttr.get(iterators),
        )
        elements = [x.type.element_type for x in (*inputs, *inits)]
        block = op.regions[0].blocks.append(*elements)
        with ir.InsertionPoint(block):
            results = body(*block.arguments)
            linalg.YieldOp(list(results) if isinstance(results, (tuple, list)) else [results])
        return [self.track(r, self.spec(x)) for r, x in zip(op.results, inits)]

    def _align(self, x: ir.Value, shape: Sequence[Dim]) -> tuple[ir.Value, ir.AffineMap]:
        """x without the size-1 dimensions that broadcast over `shape`, and its indexing map."""
        own = self.shape(x)
        offset = len(shape) - len(own)
        kept = [i for i, d in enumerate(own) if not (d == 1 and shape[offset + i] != 1)]
        if len(kept) != len(own):
            x = self.reshape(x, [own[i] for i in kept])
        loops = [ir.AffineDimExpr.get(offset + i) for i in kept]
        return x, ir.AffineMap.get(len(shape), 0, loops)

    # Types.

    def promote(self, *operands: Operand) -> torch.dtype:
        """The dtype torch computes in for these operands."""
        return _promote(tuple(self._category(x) for x in operands))

    def _category(self, x: Operand) -> tuple[Any, bool]:
        if isinstance(x, ir.Value):
            return self.dtype(x), self.rank(x) > 0
        if isinstance(x, sympy.Expr):
            return (int if x.is_integer else float), False
        return type(x), False

    def cast(self, x: ir.Value, dtype: torch.dtype) -> ir.Value:
        """x with elements of another dtype."""
        source = self.spec(x)
        if source.dtype == dtype:
            return x
        return self.map(
            lambda v: scalar.cast(v, source.dtype, dtype), [x], source.with_dtype(dtype)
        )

    def convert(self, x: ir.Value, out: TensorSpec) -> ir.Value:
        """x broadcast and cast to `out`."""
        source = self.spec(x)
        if source == out:
            return x
        return self.map(lambda v: scalar.cast(v, source.dtype, out.dtype), [x], out)

    # Moving data.

    def reshape(self, x: ir.Value, shape: Sequence[Dim]) -> ir.Value:
        """x with the same elements in row-major order under another shape; no copy."""
        return reshape.reshape(self, x, tuple(shape))

    def transpose(self, x: ir.Value, permutation: Sequence[int]) -> ir.Value:
        """Dimension i of the result is dimension permutation[i] of x."""
        permutation = list(permutation)
        if permutation == sorted(permutation):
            return x
        source = self.spec(x)
        out = self.empty(source.with_shape(source.shape[p] for p in permutation))
        if self.is_empty(source):
            return out
        op = linalg.transpose(x, outs=[out], permutation=permutation)
        return self.track(op.results[0], self.spec(out))

    def slice(self, x: ir.Value, offsets, sizes, strides=None) -> ir.Value:
        """A box of x: offsets, sizes and strides per dimension (strides default to 1)."""
        spec = self.spec(x).with_shape(sizes)
        if self.is_empty(spec):  # an offset at the end of x is none inside it
            return self.empty(spec)
        strides = strides or [1] * spec.rank
        value = tensor.ExtractSliceOp(
            spec.mlir_type(), x, *self._slice_operands(offsets, sizes, strides)
        ).result
        return self.track(value, spec)

    def crop(self, x: ir.Value, sizes: Sequence[Dim]) -> ir.Value:
        """The first `sizes` elements of x along each dimension."""
        return x if self.shape(x) == tuple(sizes) else self.slice(x, [0] * len(sizes), sizes)

    def insert(self, x: ir.Value, into: ir.Value, offsets, strides=None) -> ir.Value:
        """`into` with x written at `offsets`, which may be index values."""
        if self.is_empty(self.spec(x)):
            return into
        strides = strides or [1] * self.rank(into)
        operands = self._slice_operands(offsets, self.shape(x), strides)
        value = tensor.InsertSliceOp(x, into, *operands).result
        return self.track(value, self.spec(into))

    def _slice_operands(self, offsets, sizes, strides) -> list:
        """Dynamic operands, then static attributes, as slice ops take them."""
        groups = (offsets, sizes, strides)
        dynamic = [
            [d if isinstance(d, ir.Value) else self.index(d) for d in g if not isinstance(d, int)]
            for g in groups
        ]
        return [*dynamic, *(static_shape(g) for g in groups)]

    def pad(self, x: ir.Value, low: Sequence[int], high: Sequence[int], value: Number) -> ir.Value:
        """x with `low` and `high` extra elements per dimension, all `value`."""
        if not any((*low, *high)):
            return x
        source = self.spec(x)
        spec = source.with_shape(d + a + b for d, a, b in zip(source.shape, low, high))
        fill = self.number(value, source.dtype)
        op = tensor.PadOp(spec.mlir_type(), x, [], [], list(low), list(high))
        block = op.regions[0].blocks.append(*[ir.IndexType.get()] * spec.rank)
        with ir.InsertionPoint(block):
            tensor.YieldOp(fill)
        return self.track(op.result, spec)

    def concat(self, tensors: Sequence[ir.Value], dim: int, out: TensorSpec) -> ir.Value:
        """The tensors one after the other along `dim`."""
        if len(tensors) == 1:
            return tensors[0]
        return self.track(tensor.ConcatOp(out.mlir_type(), dim, list(tensors)).result, out)

    # Reductions.

    def reduce(
        self,
        x: ir.Value,
        dims: Sequence[int],
        body: Callable[..., Any],
        inits: Sequence[tuple[Number, torch.dtype]],
    ) -> list[ir.Value]:
        """Fold x over `dims`, which vanish from the result's shape.

        `inits` are the start number and dtype of each accumulator; `body` takes an element
        of x and the accumulators, and returns the new accumulators.
        """
        source = self.spec(x)
        kept = [i for i in range(source.rank) if i not in dims]
        order = kept + [i for i in range(source.rank) if i in dims]
        position = {d: i for i, d in enumerate(order)}
        exprs = [ir.AffineDimExpr.get(i) for i in range(source.rank)]
        read = ir.AffineMap.get(source.rank, 0, [exprs[position[d]] for d in range(source.rank)])
        write = ir.AffineMap.get(source.rank, 0, exprs[: len(kept)])
        shape = [source.shape[i] for i in kept]
        starts = [self.full(TensorSpec(tuple(shape), dtype), value) for value, dtype in inits]
        if self.is_empty(source):
            return starts
        maps = [read] + [write] * len(starts)
        return self.generic([x], starts, maps, len(kept), source.rank - len(kept), body)


def _iterator(kind: str) -> ir.Attribute:
    return ir.Attribute.parse(f"#linalg.iterator_type<{kind}>")


@lru_cache(maxsize=4096)
def _promote(categories: tuple[tuple[Any, bool], ...]) -> torch.dtype:
    """torch.result_type of several operands: (dtype or Python type, has dimensions) each."""
    stand_ins = [
        torch.empty((1,) if dims else (), dtype=kind, device="meta")
        if isinstance(kind, torch.dtype)
        else kind(1)
        for kind, dims in categories
    ]
    return torch._prims_common.elementwise_dtypes(
        *stand_ins,
        type_promotion_kind=torch._prims_common.ELEMENTWISE_TYPE_PROMOTION_KIND.NO_OPMATH,
    )[1]
