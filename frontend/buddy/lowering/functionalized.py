# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Higher-order `auto_functionalized_v2`: an op that writes into its arguments, made pure."""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import OpOverload

from .emitter import Emitter
from .registry import Unsupported, find

AUTO_FUNCTIONALIZED = torch.ops.higher_order.auto_functionalized_v2


def lower_functionalized(
    e: Emitter, dialect: str, op: OpOverload, *, _all_bases: list, **keywords: Any
) -> tuple:
    """Results of `op`, then the new value of every base, as the higher-order op returns them.

    The lowering of `op` takes the schema's arguments and returns a tuple: the op's own
    results, then the new value of each mutated argument in schema order.
    """
    lowering = find(op, dialect)
    if lowering is None:
        raise Unsupported(f"{op} has no lowering")
    arguments, bases = [], []
    for argument in op._schema.arguments:
        if argument.alias_info is None or not argument.alias_info.is_write:
            arguments.append(keywords[argument.name])
            continue
        base = _base_index(argument.name, keywords)
        arguments.append(_all_bases[base])
        bases.append(base)
    outs = e.out
    results = len(op._schema.returns)
    e.out = outs[0] if results == 1 else outs[:results]
    lowered = lowering(e, *arguments)
    e.out = outs
    updated = list(_all_bases)
    for base, value in zip(bases, lowered[results:], strict=True):
        updated[base] = value
    own = lowered[:results] if results else (None,)
    return (*own, *updated)


def _base_index(name: str, keywords: dict[str, Any]) -> int:
    """Which base the mutated argument is; views of a base are not supported."""
    index = keywords.get(f"_{name}_base_index")
    described = [k for k in keywords if k.startswith(f"_{name}_") and k != f"_{name}_base_index"]
    views = [k for k in described if keywords[k] not in (None, True)]
    if index is None or views:
        raise Unsupported(f"argument {name} is a view of another tensor: {sorted(views)}")
    return index
