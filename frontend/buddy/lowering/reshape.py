# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reshapes as tensor.collapse_shape and tensor.expand_shape, with symbolic sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import sympy
from mlir import ir
from mlir.dialects import tensor

from ..types import Dim, product, static_shape

if TYPE_CHECKING:
    from .emitter import Emitter


@dataclass
class Group:
    """Dimensions of the source that hold the same elements as dimensions of the target."""

    source: list[int]
    target: list[int]


def reshape(e: Emitter, x: ir.Value, shape: tuple[Dim, ...]) -> ir.Value:
    """x under another shape of the same number of elements."""
    source = e.spec(x)
    if source.shape == shape:
        return x
    if 0 in shape or 0 in source.shape:
        return e.empty(source.with_shape(shape))
    groups = match(source.shape, shape)
    x = _collapse(e, x, groups)
    return _expand(e, x, groups, shape)


def match(source: Sequence[Dim], target: Sequence[Dim]) -> list[Group]:
    """The finest groups of equal products, from left to right; size-1 rests join the last.

    Groups have at least one dimension on both sides, unless one shape has rank 0. Sizes that are
    equal at every call, but not in any form that sympy sees through, end up in one group.
    """
    groups: list[Group] = []
    i = j = 0
    while i < len(source) and j < len(target):
        group = Group([i], [j])
        i, j = i + 1, j + 1
        while not _balanced(source, target, group):
            side = _smaller_side(source, target, group)
            if side <= 0 and i < len(source):
                group.source.append(i)
                i += 1
            elif j < len(target):
                group.target.append(j)
                j += 1
            elif i < len(source):
                group.source.append(i)
                i += 1
            elif _ratio(source, target, group).is_number:
                raise AssertionError(f"reshape of {source} to {target}")
            else:  # equal for a reason that the sizes do not tell, as s // 2 * 2 and an even s
                break
        groups.append(group)
    last = groups[-1] if groups else Group([], [])
    last.source.extend(range(i, len(source)))
    last.target.extend(range(j, len(target)))
    return groups or [last]


def _ratio(source, target, group: Group) -> sympy.Expr:
    left = product([source[i] for i in group.source])
    right = product([target[j] for j in group.target])
    return _cancel(left, right)


# A model's layers ask for the same few ratios again and again.
@lru_cache(maxsize=1024)
def _cancel(left: Dim, right: Dim) -> sympy.Expr:
    return sympy.cancel(sympy.sympify(left) / right)


def _balanced(source, target, group: Group) -> bool:
    return _ratio(source, target, group) == 1


def _smaller_side(source, target, group: Group) -> int:
    """-1: the source side lacks elements, 1: the target side does, 0: it cannot be told."""
    ratio = _ratio(source, target, group)
    numerator, denominator = ratio.as_numer_denom()
    if denominator == 1 or (ratio.is_number and ratio > 1):
        return 1
    return -1 if numerator == 1 or ratio.is_number else 0


def _collapse(e: Emitter, x: ir.Value, groups: list[Group]) -> ir.Value:
    """Each group of the source as one dimension (none, where the source has rank 0)."""
    source = e.spec(x)
    if all(len(g.source) <= 1 for g in groups) and any(g.target for g in groups):
        return x
    to_scalar = not any(g.target for g in groups)
    shape = [] if to_scalar else [product([source.shape[i] for i in g.source]) for g in groups]
    spec = source.with_shape(shape)
    reassociation = [] if to_scalar else [g.source for g in groups]
    return e.track(tensor.collapse_shape(spec.mlir_type(), x, reassociation), spec)


def _expand(e: Emitter, x: ir.Value, groups: list[Group], shape: tuple[Dim, ...]) -> ir.Value:
    """Each dimension of x as its group of the target."""
    spec = e.spec(x).with_shape(shape)
    if shape and e.rank(x):
        # A size of the target may be a number where the source's has no known one.
        whole = spec.with_shape(product([shape[j] for j in g.target]) for g in groups)
        if whole.mlir_type() != x.type:
            x = e.track(tensor.cast(whole.mlir_type(), x), whole)
    if not shape or (e.rank(x) and all(len(g.target) == 1 for g in groups)):
        return e.track(x, spec)
    reassociation = [g.target for g in groups] if e.rank(x) else []
    value = tensor.expand_shape(
        spec.mlir_type(), x, reassociation, e.sizes(shape), static_shape(shape)
    )
    return e.track(value, spec)
