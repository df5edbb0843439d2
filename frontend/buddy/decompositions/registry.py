# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tables of our own decompositions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch._ops import OpOverload

OWN: dict[OpOverload, Callable] = {}
TRAINING: dict[OpOverload, Callable] = {}  # only where gradients are wanted
FOREIGN: dict[str, Callable] = {}  # by the qualified name of an op that another package defines


def decomposes(*overloads: OpOverload, table: dict[OpOverload, Callable] = OWN) -> Callable:
    """Make the decorated function, which takes the op's arguments, its decomposition."""

    def register(fn: Callable) -> Callable:
        for op in overloads:
            if op in table:
                raise ValueError(f"{op} is already decomposed by {table[op].__qualname__}")
            table[op] = fn
        return fn

    return register


def decomposes_foreign(name: str) -> Callable:
    """`decomposes` for the op `namespace::name`, which exists once its package is imported."""

    def register(fn: Callable) -> Callable:
        if name in FOREIGN:
            raise ValueError(f"{name} is already decomposed by {FOREIGN[name].__qualname__}")
        FOREIGN[name] = fn
        return fn

    return register


def foreign() -> dict[OpOverload, Callable]:
    """The decompositions of the foreign ops that exist by now."""
    found = {}
    for qualified, fn in FOREIGN.items():
        namespace, name = qualified.split("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        if packet is not None:
            found[packet.default] = fn
    return found
