# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compiled graph as a Python callable: arguments in, outputs allocated by torch.

Everything static is computed once, when the graph is compiled: which arguments are passed,
which are bound for good, output shapes as compiled expressions. A call then collects pointers.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter, is_, itemgetter
from pathlib import Path
from typing import Any

import sympy
import torch

from . import knobs
from .counters import stage
from .failures import failed_check
from .layouts import Order, inverse
from .memory import empty_bytes, empty_side_by_side, use_huge_pages
from .options import Options
from .results import Allocate, allocator, empty_result
from .signature import Argument, ImportedFunction, Output
from .types import Dim, TensorSpec, dtype_named, linear_symbol
from .views import Finish, Views, unchanged, windows

ENTRY = "forward"
PREPARE = "prepare"

Pointer = tuple[int, Sequence[int]]  # a buffer's address and shape: what the runtime takes

_version = attrgetter("_version")


class SizeFunction:
    """Sizes as a function of the call's arguments, compiled once.

    Symbols are read from symbol placeholders, or else from a dimension of a tensor.
    """

    def __init__(self, sources: dict[sympy.Symbol, str]):
        self.sources = sources

    def compile(self, shapes: Sequence[Sequence[Dim]]) -> Callable[[Sequence[Any]], tuple]:
        """`f(args)` giving one tuple of ints per shape."""
        body = ", ".join(
            "(" + "".join(f"{self.text(d)}, " for d in shape) + ")" for shape in shapes
        )
        return eval(f"lambda a: ({body}{',' if shapes else ''})", dict(_SIZE_NAMES))

    def text(self, dim: Dim) -> str:
        """The size, or a relation of sizes, as Python over the sources."""
        if isinstance(dim, int):
            return str(dim)
        from torch.utils._sympy.printers import PythonPrinter

        named = {s: sympy.Symbol(self.sources[s], integer=True) for s in dim.free_symbols}
        return PythonPrinter().doprint(dim.xreplace(named))


_SIZE_NAMES = {"max": max, "min": min, "math": math, "torch": torch}


def symbol_sources(
    placeholder_values: Sequence[Any], names: Sequence[str] | None = None
) -> dict[sympy.Symbol, str]:
    """For every symbol, the Python expression over the argument list `a` that gives it.

    With `names`, over these variables in place of the list.
    """
    names = names or [f"a[{i}]" for i in range(len(placeholder_values))]
    sources: dict[sympy.Symbol, str] = {}
    solved: dict[sympy.Symbol, str] = {}  # of a dimension that is 2·s: where s itself is nowhere

    def add(size: Any, text: str) -> None:
        if isinstance(size, torch.SymInt) and size.node.expr.is_Symbol:
            sources.setdefault(size.node.expr, text)
        elif isinstance(size, torch.SymInt) and (linear := linear_symbol(size.node.expr)):
            symbol, multiplier, offset = linear
            solved.setdefault(symbol, f"(({text} - {offset}) // {multiplier})")

    for name, value in zip(names, placeholder_values):
        add(value, name)
    for name, value in zip(names, placeholder_values):
        if not isinstance(value, torch.Tensor):
            continue
        for d in range(value.dim()):
            add(value.shape[d], f"{name}.shape[{d}]")
            add(value.stride(d), f"{name}.stride({d})")
        add(value.storage_offset(), f"{name}.storage_offset()")
    return solved | sources


@dataclass(frozen=True)
class Plan:
    """All there is to know, beside its library, to call a compiled function as the graph is called.

    `positions[i]` is the placeholder that the function's argument i comes from, or the constant
    it is. `inputs` and `outputs`: in which order of dimensions placeholders and outputs of the
    graph lie in memory. With `freeze`, parameters are bound and prepared at the first call.
    """

    imported: ImportedFunction
    positions: Sequence[int | torch.Tensor]
    inputs: Sequence[Order | None]
    outputs: Sequence[Order | None]
    views: Views
    sources: dict[sympy.Symbol, str]
    freeze: bool


class Launcher:
    """Calls the entry point of a compiled module the way the graph is called.

    Frozen parameters are bound and prepared again only if they were replaced or written to.
    """

    @classmethod
    def load(cls, library: Path, plan: Plan, options: Options) -> Launcher:
        """With the threads that the options or the environment ask for."""
        from . import _runtime

        with stage("load"):
            threads = options.num_threads or knobs.num_threads()
            if threads:
                _runtime.set_num_threads(threads)
            return cls(_runtime.Executable(str(library)), plan, library)

    def __init__(self, executable: Any, plan: Plan, library: Path):
        imported = plan.imported
        self.executable = executable
        self.plan = plan
        self.library = library
        self.imported = imported
        self.manifest = json.loads(executable.manifest)["entries"]
        self.positions = list(plan.positions)
        self.freeze = plan.freeze or PREPARE in self.manifest
        self.sizes = SizeFunction(plan.sources)
        self.lock = threading.Lock()
        self.bound: BoundCall | None = None
        self.parameters = [
            p
            for p, a in zip(self.positions, imported.arguments)
            if a.kind == "parameter" and isinstance(p, int) and self.freeze
        ]
        self.finish = finisher(imported.outputs, self.sizes, plan.outputs, plan.views)
        self.result_specs = self._result_specs(imported.results)
        self.messages = imported.messages
        self.workspaces: list[tuple[torch.Tensor, Pointer]] = []
        self._plan_arguments(plan.inputs)

    def _plan_arguments(self, orders: Sequence[Order | None]) -> None:
        """Which placeholders a call passes, and how."""
        frozen = set(self.parameters)
        # Position, whether it is a symbol, whether it is mutable, its order in memory.
        self.tensors: list[tuple[int, bool, bool, Order | None]] = []
        for position, argument in zip(self.positions, self.imported.arguments):
            if isinstance(position, int) and position not in frozen:
                is_symbol = argument.kind == "symbol"
                self.tensors.append((position, is_symbol, argument.mutable, orders[position]))

    def _result_specs(
        self, results: Sequence[TensorSpec]
    ) -> Callable[[Sequence[Any]], Sequence[tuple[tuple[int, ...], torch.dtype, Allocate]]]:
        """Shape, dtype and allocator of each result of a call; of known sizes once and for all."""
        dtypes = [r.dtype for r in results]
        if all(isinstance(size, int) for r in results for size in r.shape):
            shapes = [tuple(r.shape) for r in results]
            fixed = [(s, d, allocator(math.prod(s) * d.itemsize)) for s, d in zip(shapes, dtypes)]
            return lambda args: fixed
        sizes = self.sizes.compile([r.shape for r in results])
        return lambda args: [(s, d, empty_result) for s, d in zip(sizes(args), dtypes)]

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        bound = self.bound
        if bound is None or not bound.is_current(args):
            bound = self._bind(args)
        call: list[Pointer | int] = []
        copies = None
        for position, symbol, mutable, order in self.tensors:
            x = args[position]
            if symbol:
                call.append(int(x))
                continue
            if order:
                x = x.permute(order)
            if not x.is_contiguous():
                original, x = x, x.contiguous()
                copies = [*(copies or ()), (original if mutable else None, x)]
            call.append((x.data_ptr(), x.shape))
        outputs = []
        for shape, dtype, allocate in self.result_specs(args):
            x = allocate(shape, dtype)
            outputs.append(x)
            call.append((x.data_ptr(), shape))
        bound.run(call)
        for original, copy in copies or ():
            if original is not None:
                original.copy_(copy)
        if self.messages and (failed := outputs.pop().item()):
            raise failed_check(self.messages[failed - 1])
        return self.finish(args, outputs)

    def _bind(self, args: Sequence[Any]) -> BoundCall:
        """Put constants and frozen parameters in place, and run `prepare` on them."""
        with self.lock:
            frozen = set(self.parameters)
            buffers: dict[int, torch.Tensor] = {}
            for i, position in enumerate(self.positions):
                if isinstance(position, torch.Tensor):
                    buffers[i] = position.contiguous()
                elif position in frozen:
                    buffers[i] = args[position].detach().contiguous()
            with stage("prepare"):
                prepared = self._prepare(buffers)
            self.bound = BoundCall(self, buffers, prepared, args)
            return self.bound

    def _prepare(self, buffers: dict[int, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The prepared weights by name."""
        entry = self.manifest.get(PREPARE)
        if entry is None:
            return {}
        given = {self.imported.arguments[i].name: x for i, x in buffers.items()}
        results = [a for a in entry["arguments"] if a["kind"] == "prepared"]
        memory = empty_side_by_side([(a["shape"], dtype_named(a["dtype"])) for a in results])
        prepared = {a["name"]: x for a, x in zip(results, memory)}
        call = []
        for argument in entry["arguments"]:
            if argument["kind"] == "workspace":
                break
            x = (given if argument["kind"] == "parameter" else prepared)[argument["name"]]
            call.append((x.data_ptr(), tuple(x.shape)))
        invoke = self.executable.entry(PREPARE).bind({})
        workspace = empty_bytes(invoke.workspace(call))
        invoke([*call, (workspace.data_ptr(), tuple(workspace.shape))])
        return prepared


class BoundCall:
    """The entry point with constants, frozen parameters and prepared weights in place."""

    def __init__(
        self,
        owner: Launcher,
        buffers: dict[int, torch.Tensor],
        prepared: dict[str, torch.Tensor],
        args: Sequence[Any],
    ):
        arguments = owner.manifest[ENTRY]["arguments"]
        places = dict(buffers)
        for i, argument in enumerate(arguments):
            if argument["kind"] == "prepared":
                places[i] = prepared[argument["name"]]
        self.keep_alive = places
        # Prepared weights lie in huge pages already.
        use_huge_pages([x for i, x in buffers.items() if arguments[i].get("used", True)])
        self.invoke = owner.executable.entry(ENTRY).bind(
            {i: (x.data_ptr(), tuple(x.shape)) for i, x in places.items()}
        )
        self.pick = _picker(owner.parameters) if owner.parameters else None
        self.parameters = [args[p] for p in owner.parameters]
        # Only what `prepare` read or had to be copied can be out of date; the others are bound by
        # address. Inference tensors carry no version: writing to them is not seen.
        used = {a["name"] for a in owner.manifest.get(PREPARE, {"arguments": []})["arguments"]}
        self.versioned = [
            args[position]
            for position, argument in zip(owner.positions, owner.imported.arguments)
            if argument.kind == "parameter"
            and isinstance(position, int)
            and (argument.name in used or not args[position].is_contiguous())
            and not args[position].is_inference()
        ]
        self.versions = list(map(_version, self.versioned))
        # A size may come alone, without a tensor that has it.
        self.dynamic = any(
            a["kind"] == "symbol" or (a["kind"] != "workspace" and -1 in a.get("shape", ()))
            for a in arguments
        )
        self.workspace_size: int | None = None  # known after the first call, where it is fixed
        self.workspaces = owner.workspaces

    def is_current(self, args: Sequence[Any]) -> bool:
        """Whether the frozen parameters are the same tensors, unwritten where it matters.

        Assigning to a parameter's `.data` is not seen: freeze=False is for that.
        """
        if self.pick is None:
            return True
        same = all(map(is_, self.parameters, self.pick(args)))
        return same and self.versions == list(map(_version, self.versioned))

    def run(self, call: list[Pointer | int]) -> None:
        """Invoke with the unbound graph arguments and results in `call`; the workspace is added."""
        size = self.workspace_size
        if size is None:
            size = self.invoke.workspace(call)
            if not self.dynamic:
                self.workspace_size = size
        workspace = self._take_workspace(size)
        call.append(workspace[1])
        self.invoke(call)
        self.workspaces.append(workspace)

    def _take_workspace(self, size: int) -> tuple[torch.Tensor, Pointer]:
        """A workspace that no other thread uses: the pool's last one, if it is large enough."""
        try:
            workspace = self.workspaces.pop()
            if workspace[0].shape[0] >= size:
                return workspace
        except IndexError:
            pass
        memory = empty_bytes(size)
        return memory, (memory.data_ptr(), tuple(memory.shape))


def _picker(positions: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The items at `positions`, maybe with more after them; a slice where it can be one."""
    first, count = positions[0], len(positions)
    if positions == list(range(first, first + count)):
        return itemgetter(slice(first, first + count))
    return itemgetter(*positions, 0)  # with a single position it would not give a sequence


def finisher(
    outputs: Sequence[Output],
    sizes: SizeFunction,
    orders: Sequence[Order | None],
    views: Views,
) -> Finish:
    """From the function's results to the graph's outputs, in its order, layouts and views."""
    owners = _owners(outputs, sizes, orders)
    cut = windows(views, sizes)
    if owners is unchanged or cut is unchanged:
        return cut if owners is unchanged else owners
    return lambda args, results: cut(args, owners(args, results))


def _owners(outputs, sizes: SizeFunction, orders) -> Finish:
    symbolic = sizes.compile([[o.size] for o in outputs if o.kind == "symbol"])
    permutations = [inverse(order) if order else None for order in orders]
    plain = all(o.kind == "result" and o.index == i for i, o in enumerate(outputs))
    if plain and not any(permutations):
        return unchanged

    def finish(args: Sequence[Any], results: list) -> list:
        given = iter(symbolic(args))
        return [
            (results[o.index].permute(permutation) if permutation else results[o.index])
            if o.kind == "result"
            else args[o.index]
            if o.kind == "argument"
            else next(given)[0]
            if o.kind == "symbol"
            else None
            for o, permutation in zip(outputs, permutations)
        ]

    return finish


def argument_positions(
    arguments: Sequence[Argument], placeholders: Sequence[str], constants: dict[str, torch.Tensor]
) -> list[int | torch.Tensor]:
    """For each argument of the function, its placeholder, or the constant it is."""
    index = {name: i for i, name in enumerate(placeholders)}
    return [index[a.name] if a.name in index else constants[a.name] for a in arguments]
