# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors whose dimensions lie in memory in another order than row-major: channels last, `x.t()`.

Compiled functions take and give row-major tensors. A tensor of another order crosses the border
as what it is in memory, with its dimensions permuted, and the graph undoes that with a permutation
of its own, which kernels absorb: nothing is copied at the border.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from .views import concrete, is_dense, is_strided

aten = torch.ops.aten
Order = tuple[int, ...]  # of dimensions in memory, the outermost first


@dataclass(frozen=True)
class RowMajor:
    """A graph with row-major arguments and results, and how those that it had lie in memory.

    One order for each placeholder and output; None where nothing has to be permuted.
    """

    graph_module: fx.GraphModule
    inputs: list[Order | None]
    outputs: list[Order | None]


def row_major(graph_module: fx.GraphModule, keep: Collection[fx.Node] = ()) -> RowMajor:
    """The graph with its permuted arguments, other than `keep`, and results taken as they lie."""
    placeholders = graph_module.graph.find_nodes(op="placeholder")
    inputs = [None if n in keep else _dense_order(n) for n in placeholders]
    outputs = [_result_order(n) for n in graph_module.graph.output_node().args[0]]
    if any(inputs) or any(outputs):
        graph_module = fx.GraphModule(graph_module, graph_module.graph.__deepcopy__({}))
        for node, order in zip(graph_module.graph.find_nodes(op="placeholder"), inputs):
            if order:
                _take_permuted(node, order)
        _give_permuted(graph_module.graph.output_node(), outputs)
    return RowMajor(graph_module, inputs, outputs)


def inverse(order: Order) -> Order:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _take_permuted(placeholder: fx.Node, order: Order) -> None:
    graph, value = placeholder.graph, placeholder.meta["val"]
    users = [user for user in placeholder.users if user.op != "output"]
    with graph.inserting_before(_first_call(graph)):
        logical = graph.call_function(aten.permute.default, (placeholder, list(inverse(order))))
    logical.meta = {**placeholder.meta}
    placeholder.meta = {**placeholder.meta, "val": value.permute(order)}
    for user in users:
        user.replace_input_with(placeholder, logical)


def _first_call(graph: fx.Graph) -> fx.Node:
    return next(node for node in graph.nodes if node.op != "placeholder")


def _give_permuted(output: fx.Node, orders: list[Order | None]) -> None:
    results = list(output.args[0])
    for i, (node, order) in enumerate(zip(results, orders)):
        if order:
            with output.graph.inserting_before(output):
                arguments = (node, list(order))
                results[i] = output.graph.call_function(aten.permute.default, arguments)
            results[i].meta = {**node.meta, "val": node.meta["val"].permute(order)}
    output.args = (tuple(results),)


def _dense_order(node: Any) -> Order | None:
    """Of an argument that fills its memory; one with gaps has to be copied anyway."""
    order = _order(node)
    if order is None:
        return None
    value = node.meta["val"].permute(order)
    return order if is_dense(_dimensions(value)) else None


def _result_order(node: Any) -> Order | None:
    """Of what the graph computes; arguments are given back as they are."""
    is_argument = isinstance(node, fx.Node) and (
        node.op == "placeholder" or node.target is aten.copy_.default
    )
    return None if is_argument else _order(node)


def _order(node: Any) -> Order | None:
    """Of a tensor's dimensions, by the hints of their strides; None if they are row-major."""
    if not is_strided(node):
        return None
    value = node.meta["val"]
    if is_dense(_dimensions(value)) or 0 in concrete(value.shape):
        return None
    strides = concrete(value.stride())
    order = tuple(sorted(range(len(strides)), key=lambda dim: -strides[dim]))
    return None if order == tuple(range(len(strides))) else order


def _dimensions(value: torch.Tensor) -> list[tuple[int, int]]:
    """Stride and size of each, the innermost first."""
    return list(zip(concrete(value.stride()), concrete(value.shape)))[::-1]
