# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tables of our own decompositions."""

from __future__ import annotations

from collections.abc import Callable

from torch._ops import OpOverload

OWN: dict[OpOverload, Callable] = {}
TRAINING: dict[OpOverload, Callable] = {}  # only where gradients are wanted


def decomposes(*overloads: OpOverload, table: dict[OpOverload, Callable] = OWN) -> Callable:
    """Make the decorated function, which takes the op's arguments, its decomposition."""

    def register(fn: Callable) -> Callable:
        for op in overloads:
            if op in table:
                raise ValueError(f"{op} is already decomposed by {table[op].__qualname__}")
            table[op] = fn
        return fn

    return register
