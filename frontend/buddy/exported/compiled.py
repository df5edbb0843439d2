# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`buddy.compile`: an exported program as a callable, by the compiler behind torch.compile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
import torch
from torch import fx
from torch.export import ExportedProgram

from ..compilation import compile_graph, freezes
from ..errors import InputError
from ..executable import SizeFunction, symbol_sources
from ..options import Options
from ..roles import mutated_placeholders
from ..types import describe, short_name
from .calling import CallingConvention, Leaf
from .program import Program, capture


def compile(exported_program: ExportedProgram, **options: Any) -> CompiledProgram:
    """Compile a `torch.export.ExportedProgram` into a callable of the same calling convention.

    `options` are those of `torch.compile(backend="buddy")`. Raises OptionError, ModelError for
    what cannot be exported to native code, UnsupportedOpError with fallback=False, CompilerError.
    """
    return CompiledProgram(capture(exported_program), Options.parse(options))


class CompiledProgram:
    """A compiled program: call it like the module that was exported, without gradients.

    It shares the exported program's parameters and owns the buffers that it writes to.
    """

    def __init__(self, program: Program, options: Options):
        mutated = {node.name for node in mutated_placeholders(program.graph_module)}
        self._state = {
            name: tensor.detach().clone() if name in mutated else tensor
            for name, tensor in program.state.items()
        }
        self._targets = program.targets
        self._tensors = list(self._state.values())
        static = frozenset(range(len(self._tensors)) if freezes(options, training=False) else ())
        self._convention = convention_of(program)
        sizes = SizeCheck(program.inputs, program.conditions)
        self._check_sizes = sizes if sizes.dims or sizes.holds else None
        self._results = program.results
        with torch.no_grad():
            self._run = compile_graph(options, program.graph_module, static)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises InputError for arguments that the program was not exported for."""
        leaves = self._convention.flatten(args, kwargs)
        if self._check_sizes:
            self._check_sizes(leaves)
        had_gradients = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)  # torch.no_grad() takes as long as a small graph
        try:
            outputs = self._run([*self._tensors, *leaves])
        finally:
            torch._C._set_grad_enabled(had_gradients)
        results = (s.constant if s.index is None else outputs[s.index] for s in self._results)
        return self._convention.unflatten(list(results))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers as they are now, by their names in the exported module."""
        return {self._targets[name]: tensor for name, tensor in self._state.items()}


def convention_of(program: Program) -> CallingConvention:
    mutated = mutated_placeholders(program.graph_module)
    leaves = [_leaf(node, node in mutated) for node in program.inputs]
    return CallingConvention(leaves, program.in_spec, program.out_spec)


def _leaf(node: fx.Node, mutable: bool) -> Leaf:
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        shape = tuple(d if isinstance(d, int) else -1 for d in value.shape)
        return Leaf(node.name, "tensor", short_name(value.dtype), shape, mutable=mutable)
    if isinstance(value, torch.SymInt):
        return Leaf(node.name, "size")
    return Leaf(node.name, "constant", value=value)


class SizeCheck:
    """Checks sizes of a call against each other: equal symbols, expressions, conditions."""

    def __init__(self, inputs: Sequence[fx.Node], conditions: Sequence[sympy.Basic]):
        values = [node.meta.get("val") for node in inputs]
        dims = [(i, d, size.node.expr) for i, d, size in symbolic_dims(values)]
        compiled = SizeFunction(symbol_sources(values))
        self.inputs = inputs
        self.dims = [(i, d) for i, d, _ in dims]
        self.conditions = [describe_condition(c, inputs) for c in conditions]
        self.expected = compiled.compile([[expression] for _, _, expression in dims])
        self.holds = [compiled.compile([[condition]]) for condition in conditions]

    def __call__(self, leaves: Sequence[Any]) -> None:
        for (i, d), (size,) in zip(self.dims, self.expected(leaves)):
            if leaves[i].shape[d] != size:
                raise InputError(
                    f"{self.inputs[i].name}.shape[{d}] must be {size} in this call, "
                    f"got {self._describe(leaves)}"
                )
        for holds, text in zip(self.holds, self.conditions):
            if not _is_true(holds, leaves):
                raise InputError(f"the program needs {text}, got {self._describe(leaves)}")

    def _describe(self, leaves: Sequence[Any]) -> str:
        named = zip(self.inputs, leaves)
        return ", ".join(f"{node.name}: {describe(leaf)}" for node, leaf in named)


def symbolic_dims(values: Sequence[Any]) -> list[tuple[int, int, torch.SymInt]]:
    """(argument, dimension, size) of every size of the tensors that is not a number."""
    return [
        (i, d, size)
        for i, value in enumerate(values)
        if isinstance(value, torch.Tensor)
        for d, size in enumerate(value.shape)
        if isinstance(size, torch.SymInt)
    ]


def describe_condition(condition: sympy.Basic, inputs: Sequence[fx.Node]) -> str:
    """The condition in the names of arguments: `x.shape[0] >= 4`."""
    values = [node.meta.get("val") for node in inputs]
    return SizeFunction(symbol_sources(values, [node.name for node in inputs])).text(condition)


def _is_true(holds, leaves: Sequence[Any]) -> bool:
    """A division by a size of 0 is one that another condition excludes."""
    try:
        return bool(holds(leaves)[0][0])
    except ZeroDivisionError:
        return False
