# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conditions on sizes: what the graph of an exported program takes for true.

Sizes have ranges, and tracing noted how they depend on each other (`x.shape[0] % 8 == 0`). A call
is checked against all of it, because the compiled code is right for such sizes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy
import torch
from torch import fx
from torch.export import ExportedProgram

from ..errors import ModelError
from ..executable import symbol_sources

# Tracing specializes 0 and 1, so torch says 2 for any size; programs run with fewer all the same.
FREE_MINIMUM = 2


def conditions_of(
    exported: ExportedProgram, functional: ExportedProgram, inputs: Sequence[fx.Node]
) -> list[sympy.Basic]:
    """Relations that must hold, over the symbols that the inputs define, without repetitions.

    `functional` is `exported` decomposed, `inputs` are its placeholders of the user's arguments.
    What depends on data is left to the graph. Raises ModelError for what is no relation.
    """
    values = [node.meta.get("val") for node in inputs]
    known = set(symbol_sources(values))
    if not known:
        return []
    found = dict.fromkeys([*_ranges(functional), *_guards(exported, values)])
    conditions = [c for c in found if c.free_symbols and c.free_symbols <= known]
    for condition in conditions:
        if not isinstance(condition, sympy.core.relational.Relational):
            raise ModelError(f"the program needs {condition}, which calls cannot be checked for")
    return conditions


def _ranges(program: ExportedProgram) -> Iterator[sympy.Basic]:
    for symbol, bounds in program.range_constraints.items():
        if not symbol.is_Symbol:
            continue  # what follows from its symbols' ranges
        if bounds.lower.is_Integer and bounds.lower > FREE_MINIMUM:
            yield sympy.Ge(symbol, bounds.lower, evaluate=False)
        if bounds.upper.is_Integer:
            yield sympy.Le(symbol, bounds.upper, evaluate=False)


def _guards(exported: ExportedProgram, values: Sequence[Any]) -> list[sympy.Basic]:
    """What tracing noted in the shape environment of the inputs' fake tensors.

    A program that was saved holds the notes of its own tracing as code only: the checks of its
    module, which note them again when they are run on fake tensors.
    """
    own = getattr(exported.module(), "_guards_fn", None)
    if own is not None:
        own(*values)
    environment = next(v.fake_mode.shape_env for v in values if isinstance(v, torch.Tensor))
    return [environment.replace(guard.expr) for guard in environment.guards]
