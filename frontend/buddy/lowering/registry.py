# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of lowerings: one small function per Aten overload, checked against its schema."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch._ops import OpOverload

Lowering = Callable[..., Any]

DIALECTS = ("linalg", "tosa")
LOWERINGS: dict[str, dict[OpOverload, Lowering]] = {dialect: {} for dialect in DIALECTS}


class Unsupported(Exception):
    """Raised by a lowering for arguments it does not handle; the message says which."""


def lowers(*overloads: OpOverload, dialect: str = "linalg") -> Callable[[Lowering], Lowering]:
    """Make the decorated function THE lowering of each overload.

    The function takes an Emitter, then exactly the arguments of the ATen schema, tensors
    already as MLIR values, symbolic sizes as sympy expressions. Overlaps and dropped
    arguments fail at import.
    """

    def register(fn: Lowering) -> Lowering:
        table = LOWERINGS[dialect]
        for op in overloads:
            if op in table:
                raise ValueError(f"{op} is already lowered by {table[op].__qualname__}")
            check_signature(op, fn)
            table[op] = fn
        return fn

    return register


def check_signature(op: OpOverload, fn: Lowering) -> None:
    """A lowering that ignores an argument compiles the wrong program: refuse it."""
    params = list(inspect.signature(fn).parameters.values())[1:]  # after the Emitter
    if any(p.kind is p.VAR_KEYWORD for p in params):
        raise TypeError(f"{fn.__qualname__}: **kwargs would swallow arguments of {op}")
    schema = op._schema.arguments
    taken = {p.name for p in params}
    missing = [a.name for a in schema if a.kwarg_only and a.name not in taken]
    positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in params)
    wanted = sum(not a.kwarg_only for a in schema)
    if missing or positional != wanted:
        raise TypeError(
            f"{fn.__qualname__} does not take every argument of {op}: "
            f"missing {missing}, {positional} of {wanted} positional"
        )


def lowers_factory(*overloads: OpOverload) -> Callable[[Lowering], Lowering]:
    """`lowers` for ops that make tensors: device, layout and pin_memory cannot matter here.

    The result's dtype is in `e.out` already, so the function does not take it either.
    """

    def register(fn: Lowering) -> Lowering:
        for op in overloads:
            lowers(op)(without_factory_arguments(op, fn))
        return fn

    return register


_FACTORY_ARGUMENTS = ("dtype", "layout", "device", "pin_memory", "non_blocking", "memory_format")


def without_factory_arguments(op: OpOverload, fn: Lowering) -> Lowering:
    """A function with the op's own signature that drops the factory arguments."""
    names = [a.name for a in op._schema.arguments if a.name in _FACTORY_ARGUMENTS]

    @functools.wraps(fn)
    def lowering(e, *args, **kwargs):
        import torch

        if kwargs.get("layout") not in (None, torch.strided):
            raise Unsupported(f"layout {kwargs['layout']} is not strided")
        return fn(e, *args, **{k: v for k, v in kwargs.items() if k not in names})

    own = inspect.signature(fn)
    dropped = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in names]
    lowering.__signature__ = own.replace(parameters=[*own.parameters.values(), *dropped])
    return lowering


def find(op: Any, dialect: str = "linalg") -> Lowering | None:
    """The lowering of `op`; a dialect other than linalg takes linalg's where it has none."""
    linalg = LOWERINGS["linalg"].get(op)
    if dialect == "linalg" or linalg is None:
        return LOWERINGS[dialect].get(op)
    return LOWERINGS[dialect].get(op) or left_to_linalg(op, linalg)


def left_to_linalg(op: Any, lowering: Lowering) -> Lowering:
    """The linalg lowering of an op that another dialect was wanted for: counted."""

    def counted(e, *args, **kwargs):
        e.left_to_linalg.append(str(op))
        return lowering(e, *args, **kwargs)

    return counted
