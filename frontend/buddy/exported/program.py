# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a `torch.export.ExportedProgram` to the graph that the compiler takes.

An exported graph has parameters, buffers and the leaves of the user's arguments as placeholders,
and returns what becomes of mutated ones beside the results. The compiler wants what AOTAutograd
gives it: updates as `copy_` at the end, results only, small constants in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import fx
from torch._decomp import get_decompositions
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind
from torch.utils._pytree import TreeSpec

from ..attention_capture import fuse_attention
from ..decompose import decompositions
from ..errors import ModelError
from .conditions import conditions_of

aten = torch.ops.aten

_STATE = (InputKind.PARAMETER, InputKind.BUFFER)
_MUTATIONS = (
    OutputKind.BUFFER_MUTATION,
    OutputKind.PARAMETER_MUTATION,
    OutputKind.USER_INPUT_MUTATION,
)


@dataclass(frozen=True)
class Slot:
    """One leaf of the results: output `index` of the graph, or else a constant."""

    index: int | None
    constant: Any = None


@dataclass
class Program:
    """A functional graph of core Aten ops with the calling convention of the exported program.

    Placeholders are `state` (parameters and buffers, by name of placeholder), then the leaves of
    (args, kwargs), whose metadata says what each may be.
    """

    graph_module: fx.GraphModule
    state: dict[str, torch.Tensor]
    targets: dict[str, str]  # the module's own name of each tensor of the state
    inputs: list[fx.Node]
    results: list[Slot]
    in_spec: TreeSpec
    out_spec: TreeSpec
    conditions: list[sympy.Basic]  # on sizes, which the graph takes for true


def capture(exported: ExportedProgram) -> Program:
    """The program in core Aten; raises ModelError for what cannot be compiled ahead of time."""
    if not isinstance(exported, ExportedProgram):
        raise ModelError(f"a torch.export.ExportedProgram is needed, not {type(exported).__name__}")
    functional = _decomposed(exported)
    graph_module = fx.GraphModule(functional.graph_module, functional.graph)
    placeholders = {n.name: n for n in graph_module.graph.find_nodes(op="placeholder")}
    state, targets, inputs = {}, {}, []
    for spec in functional.graph_signature.input_specs:
        node = placeholders.get(spec.arg.name)
        if spec.kind == InputKind.USER_INPUT:
            inputs.append(node)
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            _inline(graph_module, node, functional.constants[spec.target])
        elif spec.kind == InputKind.TOKEN:
            _inline(graph_module, node, torch.empty(0))  # orders effects, which the graph does too
        elif spec.kind in _STATE:
            state[node.name] = _tensor(functional, spec.target)
            targets[node.name] = spec.target
        else:
            raise ModelError(f"the program takes '{spec.target}', which is no tensor")
    results = _results(functional, graph_module, placeholders)
    conditions = conditions_of(exported, functional, inputs)
    in_spec, out_spec = exported.call_spec.in_spec, exported.call_spec.out_spec
    return Program(graph_module, state, targets, inputs, results, in_spec, out_spec, conditions)


def _decomposed(exported: ExportedProgram) -> ExportedProgram:
    try:
        with torch.no_grad():
            return exported.run_decompositions(_decompositions())
    except Exception as error:  # torch refuses in many ways, with assertions too
        raise ModelError(
            f"torch cannot decompose the program ({type(error).__name__}: {error})"
        ) from error


def _decompositions() -> dict:
    """What torch.compile takes apart: our table, and the composite ops that export keeps whole."""
    kept = (aten.upsample_bilinear2d.vec, aten.upsample_nearest2d.vec)
    attention = {aten.scaled_dot_product_attention.default: fuse_attention}
    return decompositions() | get_decompositions(kept) | attention


def _tensor(program: ExportedProgram, name: str) -> torch.Tensor:
    """A parameter or buffer; buffers that a checkpoint leaves out are among the constants."""
    return program.state_dict[name] if name in program.state_dict else program.constants[name]


def _inline(graph_module: fx.GraphModule, node: fx.Node, value: torch.Tensor) -> None:
    """A tensor that the code holds belongs to the graph, as Dynamo would have it."""
    graph_module.register_buffer(node.name, value.detach(), persistent=False)
    with graph_module.graph.inserting_before(node):
        constant = graph_module.graph.get_attr(node.name)
    constant.meta.update(node.meta)
    node.replace_all_uses_with(constant)
    graph_module.graph.erase_node(node)


def _results(
    program: ExportedProgram, graph_module: fx.GraphModule, placeholders: dict[str, fx.Node]
) -> list[Slot]:
    """Make updates of placeholders `copy_` nodes; let the graph return the user's results only."""
    signature, output = program.graph_signature, graph_module.graph.output_node()
    by_target = {s.target: s.arg.name for s in signature.input_specs if s.target is not None}
    updated: dict[fx.Node, fx.Node] = {}
    returned: list[fx.Node] = []
    slots: list[Slot] = []
    for spec, value in zip(signature.output_specs, output.args[0]):
        if spec.kind in _MUTATIONS:
            target = placeholders[by_target.get(spec.target, spec.target)]
            _update(graph_module.graph, target, value)
            if spec.kind == OutputKind.USER_INPUT_MUTATION:
                updated[value] = target
        elif spec.kind == OutputKind.TOKEN:
            continue
        elif spec.kind != OutputKind.USER_OUTPUT:
            raise ModelError(f"an output of kind {spec.kind.name.lower()} cannot be compiled")
        elif isinstance(spec.arg, ConstantArgument) or not isinstance(value, fx.Node):
            slots.append(Slot(None, value))
        else:
            # The updated argument itself, where the program returns what it wrote there.
            slots.append(Slot(len(returned)))
            returned.append(updated.get(value, value))
    output.args = (tuple(returned),)
    graph_module.recompile()
    return slots


def _update(graph: fx.Graph, target: fx.Node, value: fx.Node) -> None:
    with graph.inserting_before(graph.output_node()):
        node = graph.call_function(aten.copy_.default, (target, value))
    node.meta.update(value.meta, val=target.meta["val"])
