# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the placeholders and outputs of AOTAutograd's graphs are for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx

from .views import overlaps

aten = torch.ops.aten
BY_STRIDES = (aten.as_strided.default, aten.as_strided_scatter.default, aten.copy_.default)
SAVED = "saved_for_backward"  # in the `meta` of what no caller sees


def static_inputs() -> frozenset[int]:
    """Placeholders that are parameters or buffers: the same tensors at every call."""
    metadata = _forward_metadata()
    return frozenset(metadata.static_input_indices or ()) if metadata else frozenset()


def mark_saved(graph_module: fx.GraphModule) -> None:
    """Mark the results of a training graph that only its backward graph reads."""
    metadata = _forward_metadata()
    if metadata is None:
        return
    outputs = graph_module.graph.output_node().args[0]
    seen, saved = outputs[: metadata.num_forward], outputs[metadata.num_forward :]
    for node in saved:
        if isinstance(node, fx.Node) and node not in seen:
            node.meta[SAVED] = True


def _forward_metadata() -> Any:
    context = torch._guards.TracingContext.try_get()
    return context.fw_metadata if context else None


def mutated_placeholders(graph_module: fx.GraphModule) -> set[fx.Node]:
    """Placeholders that the graph writes to at its end."""
    return {copy.args[0] for copy in _copies(graph_module)}


def _copies(graph_module: fx.GraphModule) -> list[fx.Node]:
    return graph_module.graph.find_nodes(op="call_function", target=aten.copy_.default)


def kind_of(node: fx.Node, static: bool) -> str:
    value = node.meta.get("val")
    if isinstance(value, (torch.SymInt, int)):
        return "symbol"
    return "parameter" if static else "input"


def updates_of_overlapping(graph_module: fx.GraphModule) -> list[fx.Node]:
    """What computes the new values of placeholders whose elements share memory, last the copies.

    A write to one element of such a tensor changes others, which no value of its own can say.
    """
    nodes: dict[fx.Node, None] = {}
    for copy in _copies(graph_module):
        if overlaps(copy.args[0].meta["val"]):
            after = _closure([copy.args[0]], lambda node: node.users)
            before = _closure([copy], lambda node: node.all_input_nodes)
            nodes |= dict.fromkeys(n for n in after if n in before and n.op == "call_function")
    return list(nodes)


def views_of_untracked(graph_module: fx.GraphModule) -> list[fx.Node]:
    """What reads and writes placeholders of static sizes by windows of symbolic ones.

    Of arguments that share memory, one of them written to, AOTAutograd makes one: what they are
    views of. It has the sizes of the first call, and nothing guards them.
    """
    nodes: dict[fx.Node, None] = {}
    for copy in _copies(graph_module):
        base = copy.args[0]
        steps = [n for n in _closure([base], _by_strides) if n is not base]
        operands = [x.meta.get("val") for step in steps for x in step.all_input_nodes]
        symbolic = any(isinstance(value, torch.SymInt) for value in operands)
        if symbolic and all(isinstance(size, int) for size in base.meta["val"].shape):
            nodes |= dict.fromkeys(steps)
    return list(nodes)


def _by_strides(node: fx.Node) -> list[fx.Node]:
    """Windows of a tensor, what becomes of it where one is written to, and the copy of that."""
    return [user for user in node.users if user.target in BY_STRIDES]


def _closure(nodes: Iterable[fx.Node], following: Any) -> dict[fx.Node, None]:
    """The nodes and all that `following` leads to."""
    found, rest = {}, list(nodes)
    while rest:
        node = rest.pop()
        if node not in found:
            found[node] = None
            rest += following(node)
    return found
