# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""One decoder layer's part of a graph, repeated for all layers that are like it.

Tracing costs about half a second a layer. A transformer's layers differ in their weights only,
so two layers are traced, and the part that belongs to the second one becomes a submodule that
is called for it and for the rest, with each layer's weights and caches: what compiles the graph
sees a layer once. :func:`repeated_layers` decides whether the layers really are alike: same
classes, same attributes, same shapes and dtypes of every tensor.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

if TYPE_CHECKING:
    from buddy.llm.capture import CapturedGraph, GraphArgument

TRACED_LAYERS = 2


@dataclass
class RepeatedLayers:
    """``modules`` stands as attribute ``name`` of ``parent``; ``prefix`` is its dotted path."""

    parent: nn.Module
    name: str
    prefix: str
    modules: nn.ModuleList

    def replace(self, modules: nn.ModuleList) -> None:
        setattr(self.parent, self.name, modules)


def repeated_layers(model: nn.Module) -> RepeatedLayers | None:
    """The model's decoder layers, if there are more than two and all are alike; else None."""
    depth = model.config.num_hidden_layers
    if depth <= TRACED_LAYERS:
        return None
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            parent, _, name = path.rpartition(".")
            first = _signature(module[0])
            if all(_signature(layer) == first for layer in module):
                return RepeatedLayers(model.get_submodule(parent), name, path, module)
            return None
    return None


def _signature(module: nn.Module) -> tuple:
    """Everything about a layer that can shape its graph, but its index."""
    tensors = [
        (name, tuple(tensor.shape), tensor.dtype)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    ]
    parts = []
    for path, child in module.named_modules():
        values = {
            name: value
            for name, value in vars(child).items()
            if not name.startswith("_") and name != "layer_idx" and _is_plain(value)
        }
        parts.append((path, type(child), sorted(values.items(), key=lambda item: item[0])))
    return tuple(tensors), tuple((p, t, repr(v)) for p, t, v in parts)


def _is_plain(value) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, torch.dtype))


@dataclass(frozen=True)
class _LayerPart:
    """What belongs to one layer in a traced graph.

    ``body``: its operators; ``epilogue``: the ``copy_`` nodes that write its caches back.
    """

    placeholders: list[Node]
    body: list[Node]
    epilogue: list[Node]

    @staticmethod
    def find(graph: Graph, owned: dict[Node, GraphArgument], prefix: str, index: int) -> _LayerPart:
        path = f"{prefix}.{index}"
        mine = [node for node, argument in owned.items() if _belongs(argument.name, path, index)]
        body = [node for node in graph.nodes if node not in owned and _is_inside(node, path)]
        epilogue = [
            node
            for node in graph.nodes
            if node.target is torch.ops.aten.copy_.default and node.args[0] in mine
        ]
        return _LayerPart(mine, body, epilogue)

    def inputs_from(self, other: _LayerPart) -> set[Node]:
        """Results of ``other`` that this layer reads."""
        return {node for mine in self.body for node in mine.all_input_nodes} & set(other.body)

    def results(self) -> set[Node]:
        """Nodes that are read outside the layer, but for its own caches."""
        inside = {*self.body, *self.epilogue}
        return {node for node in self.body if any(user not in inside for user in node.users)}

    def replaced_by_call(self, graph: Graph, shape: _LayerShape) -> _LayerPart:
        """Put a call of the submodule ``layer`` in place of the body."""
        inside, results = set(self.body), [self.body[place] for place in shape.results]
        with graph.inserting_after(self.body[-1]):
            call = graph.call_module("layer", tuple(shape.operands(self)))
        call.meta = {**results[0].meta, "val": tuple(node.meta["val"] for node in results)}
        body = [call]
        for index, node in enumerate(results):
            with graph.inserting_after(body[-1]):
                body.append(graph.call_function(operator.getitem, (call, index)))
            body[-1].meta = node.meta
            node.replace_all_uses_with(body[-1], delete_user_cb=lambda user: user not in inside)
        for node in reversed(self.body):
            graph.erase_node(node)
        return replace(self, body=body)


@dataclass(frozen=True)
class _LayerShape:
    """Where alike layers read what is outside of them, and what others read of them.

    ``reads``: (operator, its input) of every read, by what layer 1 reads there; ``results``:
    operators. All are numbered in the order of the body.
    """

    reads: dict[Node, list[tuple[int, int]]]
    results: list[int]

    @staticmethod
    def of(layer: _LayerPart) -> _LayerShape:
        inside = set(layer.body)
        reads: dict[Node, list[tuple[int, int]]] = {}
        for place, node in enumerate(layer.body):
            for number, operand in enumerate(node.all_input_nodes):
                if operand not in inside:
                    reads.setdefault(operand, []).append((place, number))
        results = [i for i, node in enumerate(layer.body) if not inside.issuperset(node.users)]
        return _LayerShape(reads, results)

    def fits(self, layer: _LayerPart) -> bool:
        """Whether ``layer`` reads one node wherever layer 1 does."""
        alike = (
            {layer.body[place].all_input_nodes[number] for place, number in places}
            for places in self.reads.values()
        )
        return all(len(nodes) == 1 for nodes in alike)

    def operands(self, layer: _LayerPart) -> list[Node]:
        firsts = (places[0] for places in self.reads.values())
        return [layer.body[place].all_input_nodes[number] for place, number in firsts]


def _submodule(layer: _LayerPart, shape: _LayerShape) -> GraphModule:
    graph = Graph()
    mapping: dict[Node, Node] = {}
    for node in shape.reads:
        mapping[node] = graph.placeholder(node.name)
        mapping[node].meta = {"val": node.meta["val"]}
    for node in layer.body:
        mapping[node] = graph.node_copy(node, mapping.__getitem__)
    graph.output(tuple(mapping[layer.body[place]] for place in shape.results))
    return GraphModule(nn.Module(), graph)


def repeat_layer(captured: CapturedGraph, prefix: str, depth: int) -> CapturedGraph | None:
    """Extend a graph traced with two layers to ``depth`` layers, in place.

    ``prefix`` is the path of the layers ("model.layers"); arguments of layer 1 are those named
    ``<prefix>.1.*`` and the caches ``*_cache.1``. None if the two layers were not traced to the
    same operators with one tensor between them, in which case all layers must be traced.
    """
    graph = captured.graph_module.graph
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    owned = dict(zip(placeholders, captured.arguments, strict=True))
    first, layer = (_LayerPart.find(graph, owned, prefix, index) for index in range(2))
    entries = layer.inputs_from(first)
    alike = [node.target for node in first.body] == [node.target for node in layer.body]
    if not alike or len(entries) != 1 or len(layer.results()) != 1:
        return None
    shape = _LayerShape.of(layer)
    if not shape.fits(first):
        return None
    captured.graph_module.add_submodule("layer", _submodule(layer, shape))
    layer = layer.replaced_by_call(graph, shape)
    first = first.replaced_by_call(graph, shape)
    (entry,), (result,) = layer.inputs_from(first), layer.results()
    inside = {*layer.body, *layer.epilogue}
    readers = [user for user in result.users if user not in inside]
    arguments = list(captured.arguments)
    previous, places = result, _Places(graph, placeholders, layer)
    for index in range(TRACED_LAYERS, depth):
        mapping = {entry: previous}
        places.copy(layer, mapping)
        arguments += [_renamed(owned[node], prefix, index) for node in layer.placeholders]
        previous = mapping[result]
    for reader in readers:
        reader.replace_input_with(result, previous)
    graph.lint()
    captured.graph_module.recompile()
    return replace(captured, arguments=tuple(arguments))


class _Places:
    """Where the next copy goes: behind the last placeholder, layer and ``copy_``."""

    def __init__(self, graph: Graph, placeholders: list[Node], layer: _LayerPart):
        self.graph = graph
        self.placeholder = placeholders[-1]
        self.body = layer.body[-1]
        self.epilogue = layer.epilogue[-1] if layer.epilogue else None

    def copy(self, layer: _LayerPart, mapping: dict[Node, Node]) -> None:
        """Copy ``layer`` with operands mapped; ``mapping`` gets every copied node."""
        self.placeholder = _copy_after(self.graph, layer.placeholders, self.placeholder, mapping)
        self.body = _copy_after(self.graph, layer.body, self.body, mapping)
        self.epilogue = _copy_after(self.graph, layer.epilogue, self.epilogue, mapping)


def _copy_after(
    graph: Graph, nodes: Iterable[Node], after: Node, mapping: dict[Node, Node]
) -> Node:
    """Copy ``nodes`` behind ``after`` with their operands mapped; return the last copy."""
    for node in nodes:
        with graph.inserting_after(after):
            after = graph.node_copy(node, lambda operand: mapping.get(operand, operand))
        if node.op == "placeholder":
            after.target = after.name  # the name of the function's parameter: must be unique
        mapping[node] = after
    return after


def _renamed(argument: GraphArgument, prefix: str, index: int) -> GraphArgument:
    """Layer 1's argument as the argument of layer ``index``."""
    if argument.name.startswith(f"{prefix}.1."):
        rest = argument.name.removeprefix(f"{prefix}.1.")
        return replace(argument, name=f"{prefix}.{index}.{rest}")
    return replace(argument, name=f"{argument.name.removesuffix('.1')}.{index}")


def _belongs(name: str, path: str, index: int) -> bool:
    return name.startswith(f"{path}.") or name in (f"k_cache.{index}", f"v_cache.{index}")


def _is_inside(node: Node, path: str) -> bool:
    """Whether a node was traced inside the module at ``path``."""
    stack = (node.meta.get("nn_module_stack") or {}).values()
    return any(f".{path}." in f".{scope}." for scope, _ in stack)
