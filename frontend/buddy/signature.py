# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What goes into an imported function and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import fx

from .types import Dim, TensorSpec

if TYPE_CHECKING:
    from mlir import ir


@dataclass(frozen=True)
class Argument:
    """What a placeholder is to the compiled function; `mutable` ones are updated in place."""

    name: str
    kind: Literal["input", "parameter", "symbol"]
    mutable: bool = False


@dataclass(frozen=True)
class Output:
    """Where an output of the graph comes from.

    result: index of the function's output; argument: index of a placeholder, returned as it
    is; symbol: a size; none: None.
    """

    kind: Literal["result", "argument", "symbol", "none"]
    index: int = 0
    size: Dim = 0


@dataclass
class ImportedFunction:
    """What the importer made of a graph."""

    name: str
    arguments: list[Argument]  # of the function, in its order
    constants: dict[str, torch.Tensor]  # parameters that the graph owns, by argument name
    results: list[TensorSpec]  # caller-allocated outputs, in order
    outputs: list[Output]  # one per output of the graph
    nodes_lowered: int = 0
    left_to_linalg: Sequence[str] = ()  # calls that another dialect was wanted for, by overload
    messages: tuple[str, ...] = ()  # if any, the last result is 0, or says which of them is true


@dataclass
class Signature:
    """The function's arguments: those of placeholders, then constants the graph owns."""

    arguments: list[Argument] = field(default_factory=list)
    types: list[ir.Type] = field(default_factory=list)
    nodes: list[fx.Node] = field(default_factory=list)
