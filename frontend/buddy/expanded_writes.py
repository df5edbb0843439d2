# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes through `x.expand(...)`: what was written, where PyTorch has x + (written - x).

Functionalization knows no other inverse of an expansion, which may have made several elements of
one. Where it made none, the sum is the written value rounded twice, and NaN where x is infinite.
"""

from __future__ import annotations

import torch
from torch import fx

from .views import dims, is_strided, storage_of

aten = torch.ops.aten


def restore_writes(graph_module: fx.GraphModule) -> None:
    """Make copies of what was written of such sums of floats.

    What there is between, sums over dimensions of one element and a view that takes these away,
    stays as copies: every value has the memory and strides that it had.
    """
    for add in graph_module.graph.find_nodes(op="call_function", target=aten.add.Tensor):
        base, change = add.args
        if add.kwargs or not (is_strided(base) and is_strided(change)):
            continue
        total = change.args[0] if change.target is aten.view.default else change
        difference = total.args[0] if total.target is aten.sum.dim_IntList else total
        if _is_written(difference, base) and _sizes(total) == _sizes(difference):
            _make_copy(difference, difference.args[0])
            if total is not difference:
                _make_copy(total, difference)
            _make_copy(add, change)


def _is_written(difference: fx.Node, base: fx.Node) -> bool:
    """Whether this is a window of `base` that was written to, and is no larger, less `base`."""
    if difference.target is not aten.sub.Tensor or difference.kwargs:
        return False
    written, subtracted = difference.args
    if subtracted is not base or not is_strided(written) or len(difference.users) != 1:
        return False
    dtype = base.meta["val"].dtype
    if written.meta["val"].dtype != dtype or not dtype.is_floating_point:
        return False
    ones = (1,) * (len(_sizes(written)) - len(_sizes(base)))
    expansions = base.graph.find_nodes(op="call_function", target=aten.expand.default)
    is_window = any(
        _sizes(e) == _sizes(written) and _place(e.args[0]) == _place(base) for e in expansions
    )
    return is_window and _sizes(written) == ones + _sizes(base)


def _make_copy(node: fx.Node, source: fx.Node) -> None:
    node.target, node.args, node.kwargs = aten.clone.default, (source,), {}


def _sizes(node: fx.Node) -> tuple:
    return dims(node.meta["val"].shape)


def _place(node: fx.Node) -> tuple:
    """Equal for two nodes that are the same window of the same memory."""
    value = node.meta["val"]
    offset = dims([value.storage_offset()])
    return storage_of(node), _sizes(node), dims(value.stride()), offset
