# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fallback: what has no lowering runs eagerly between compiled parts."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx
from torch.fx.passes.infra.partitioner import CapabilityBasedPartitioner
from torch.fx.passes.operator_support import OperatorSupportBase

from . import counters, importer
from .errors import UnsupportedOp, UnsupportedOpError

# Eager copies the whole memory of their first argument, also what lies between its elements.
KEEP_GAPS = (
    torch.ops.aten.copy.default,
    torch.ops.aten.slice_scatter.default,
    torch.ops.aten.select_scatter.default,
    torch.ops.aten.diagonal_scatter.default,
    torch.ops.aten.as_strided_scatter.default,
)


class _Compilable(OperatorSupportBase):
    """Everything but the refused nodes, what reads their several results, and side effects."""

    def __init__(self, refused: set[str]):
        self.refused = refused

    def is_node_supported(self, submodules, node: fx.Node) -> bool:
        if node.op != "call_function" or node.name in self.refused:
            return False
        if node.target is operator.getitem:
            return self.is_node_supported(submodules, node.args[0])
        if node.target is torch.ops.aten.copy_.default:
            return False
        # Arithmetic on sizes is left to Python: it costs little, and a part may not know them.
        return isinstance(node.meta.get("val"), (torch.Tensor, tuple, list))


def compile_parts(
    graph_module: fx.GraphModule,
    refused: Sequence[UnsupportedOp],
    static: frozenset[int],
    compile_whole: Callable[[fx.GraphModule, frozenset[int]], Callable],
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The graph with every part between refused nodes compiled by `compile_whole`.

    Each refused op is counted in `stats()` and warned about once.
    """
    names: set[str] = set()
    while refused:
        refused = [*refused, *_keepers_of_gaps(graph_module.graph, refused)]
        _report(refused)
        names |= {op.name for op in refused}
        fused, refused = _try_parts(graph_module, names, static, compile_whole)
    return lambda args: fused(*args)


def _try_parts(
    graph_module: fx.GraphModule, names: set[str], static: frozenset[int], compile_whole: Callable
) -> tuple[fx.GraphModule, list[UnsupportedOp]]:
    """The graph with compiled parts between the nodes in `names`, and what was refused in them.

    A part may lack what the whole graph had: a size that an op left out of it computes.
    """
    copy = fx.GraphModule(graph_module, graph_module.graph.__deepcopy__({}))
    _draw_in_order(copy.graph)
    partitioner = CapabilityBasedPartitioner(
        copy, _Compilable(names), allows_single_node_partition=True
    )
    fused = partitioner.partition_and_fuse()
    _write_last(fused.graph)
    placeholders = [n for n in fused.graph.nodes if n.op == "placeholder"]
    parameters = {n for i, n in enumerate(placeholders) if i in static}
    refused: list[UnsupportedOp] = []
    for node in list(fused.graph.nodes):
        if node.op == "call_module":
            try:
                _compile_part(fused, node, parameters, compile_whole)
            except UnsupportedOpError as error:
                refused += error.ops
    fused.recompile()
    return fused, refused


def _keepers_of_gaps(graph: fx.Graph, refused: Sequence[UnsupportedOp]) -> list[UnsupportedOp]:
    """What makes the tensors that a refused `as_strided` reads beyond their own elements."""
    names = {op.name for op in refused}
    found: dict[fx.Node, None] = {}
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.as_strided.default):
        source = node.args[0] if node.name in names else None
        while source is not None and source.target in KEEP_GAPS:
            found[source] = None
            source = source.args[0]
    reason = "what lies between its elements is read by strides"
    return [importer.refused(node, reason) for node in found if node.name not in names]


def _draw_in_order(graph: fx.Graph) -> None:
    """Make each draw of random numbers depend on the one before: they are one stream."""
    earlier = None
    for node in graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            if earlier is not None:
                node.args, node.target = (node.target, earlier, *node.args), _after
            earlier = node


def _after(op: Callable, earlier: Any, *args: Any, **kwargs: Any) -> Any:
    return op(*args, **kwargs)


def _write_last(graph: fx.Graph) -> None:
    """What updates arguments back to the end: nothing tells their readers that it must be last."""
    output = graph.output_node()
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.copy_.default:
            output.prepend(node)


def _report(refused: Sequence[UnsupportedOp]) -> None:
    for op in refused:
        if counters.count_fallback(op.target):
            warnings.warn(
                f"{op.target} at {op.where} has no lowering and runs eagerly"
                + (f": {op.reason}" if op.reason else ""),
                RuntimeWarning,
                stacklevel=2,
            )


def _compile_part(fused, node: fx.Node, parameters: set[fx.Node], compile_whole) -> None:
    """Replace a call of a part by a call of the compiled part."""
    part = fused.get_submodule(node.target)
    _return_tuple(part)
    static = frozenset(i for i, argument in enumerate(node.args) if argument in parameters)
    compiled = compile_whole(part, static)
    single = part.meta["single_result"]

    def call(*args):
        results = compiled(args)
        return results[0] if single else results

    fused.delete_submodule(node.target)
    node.op, node.target = "call_function", call
    call.__name__ = "compiled_part"


def _return_tuple(part: fx.GraphModule) -> None:
    """Graphs that return one value get the form that the importer reads: a tuple."""
    output = part.graph.output_node()
    part.meta["single_result"] = not isinstance(output.args[0], (tuple, list))
    if part.meta["single_result"]:
        output.args = ((output.args[0],),)
        part.recompile()
