# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A captured graph as a callable: decompose, import, compile, launch.

What a graph from the graph cache needs none of: this module is loaded for the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import torch
from torch import fx
from torch._dynamo.backends.common import aot_autograd

from . import counters, driver, graph_cache, knobs, mlir_code, partition, profiling
from .autotune import Tuned
from .decompose import decompositions
from .errors import UnsupportedOpError
from .executable import (
    ENTRY,
    Launcher,
    Plan,
    SizeFunction,
    argument_positions,
    finisher,
    symbol_sources,
)
from .expanded_writes import restore_writes
from .importer import import_graph, new_module, refused
from .layouts import row_major
from .options import Options
from .roles import (
    kind_of,
    mark_saved,
    mutated_placeholders,
    static_inputs,
    updates_of_overlapping,
    views_of_untracked,
)
from .signature import Argument, ImportedFunction
from .views import Views, returning_owners

Compiled = Callable[[Sequence[Any]], Sequence[Any]]


def compile_captured(
    options: Options,
    training: bool,
    key: str | None,
    graph_module: fx.GraphModule,
    example_inputs: Sequence[Any],
) -> Callable:
    """The graph that Dynamo captured, through AOTAutograd; `key`: to be kept in the graph cache."""
    mlir_code.give_back()
    freeze = freezes(options, training)
    compile_as = functools.partial(_compile_graph, options)
    kept: list[Callable] = []

    def keep(launch: Launcher) -> None:
        if key and (call := graph_cache.store(key, len(example_inputs), launch)):
            kept.append(call)

    backend = aot_autograd(
        fw_compiler=functools.partial(_compile_forward, options),
        bw_compiler=functools.partial(compile_as, False),
        inference_compiler=functools.partial(compile_as, freeze, keep=keep),
        decompositions=decompositions(training=training),
        keep_inference_input_mutations=True,
    )
    # The graph makes the tokens that order effects itself: its arguments are the user's own.
    with torch._functorch.config.patch(unlift_effect_tokens=True):
        call = backend(graph_module, example_inputs)
    return kept[0] if kept else call


def freezes(options: Options, training: bool) -> bool:
    """Parameters are bound once only while no gradient can change them."""
    return not training and options.freeze is not False


def _compile_graph(
    options: Options,
    freeze: bool,
    graph_module: fx.GraphModule,
    example_inputs: Sequence[Any],
    keep: Callable[[Launcher], None] | None = None,
) -> Callable:
    """AOTAutograd's compiler of one graph; the callable takes its arguments as one list."""
    static = static_inputs() if freeze else frozenset()
    compiled = compile_graph(options, graph_module, static)
    if keep is not None and isinstance(compiled, Launcher):
        keep(compiled)
    return _boxed(compiled)


def _compile_forward(
    options: Options, graph_module: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable:
    """AOTAutograd's compiler of the forward graph of a training step."""
    mark_saved(graph_module)
    return _compile_graph(options, False, graph_module, example_inputs)


def compile_graph(
    options: Options, graph_module: fx.GraphModule, static: frozenset[int]
) -> Compiled:
    """A graph of core Aten ops as a callable, with ops that have no lowering run eagerly.

    `static`: placeholders that are the same tensors at every call, to be bound once. Raises
    UnsupportedOpError with fallback=False.
    """
    counters.count("graphs")
    restore_writes(graph_module)
    try:
        return compile_whole(options, graph_module, static)
    except UnsupportedOpError as error:
        if not options.fallback:
            raise
        return partition.compile_parts(
            graph_module, error.ops, static, functools.partial(compile_whole, options)
        )


def _boxed(compiled: Compiled) -> Callable:
    """AOTAutograd's calling convention: the callee empties the list of arguments."""

    def run(args: list) -> Sequence[Any]:
        taken = list(args)
        args.clear()
        return compiled(taken)

    run._boxed_call = True
    return run


def compile_whole(
    options: Options, graph_module: fx.GraphModule, static: frozenset[int]
) -> Compiled:
    """The graph as one compiled module; raises UnsupportedOpError where it cannot be."""
    for nodes, reason in (
        (updates_of_overlapping, "writes to an input whose elements overlap in memory"),
        (views_of_untracked, "reads an input whose sizes PyTorch does not track"),
    ):
        if found := nodes(graph_module):
            raise UnsupportedOpError([refused(node, reason) for node in found])
    placeholders = [n for n in graph_module.graph.nodes if n.op == "placeholder"]
    mutated = mutated_placeholders(graph_module)
    # What the graph writes to is never frozen, not even a buffer.
    arguments = [
        Argument(n.name, kind_of(n, i in static and n not in mutated), n in mutated)
        for i, n in enumerate(placeholders)
    ]
    module = new_module()
    # What is written to, or bound for good, is copied if it is not row-major.
    fixed = [n for n, a in zip(placeholders, arguments) if a.kind == "parameter" or a.mutable]
    with counters.stage("import"), returning_owners(graph_module.graph) as views:
        rows = row_major(graph_module, keep=fixed)
        imported = import_graph(
            rows.graph_module, module, ENTRY, arguments, dialect=options.dialect, checks=True
        )
    counters.count("nodes_lowered", imported.nodes_lowered)
    counters.count_linalg(imported.left_to_linalg)
    values = [n.meta.get("val") for n in placeholders]
    if not imported.results and not mutated:
        launch = _NoResults(imported, values, views)
    else:
        names = [n.name for n in placeholders]
        positions = argument_positions(imported.arguments, names, imported.constants)
        bytecode = _bytecode(module)
        del module
        mlir_code.give_back()
        sources = symbol_sources(values)
        plan = Plan(imported, positions, rows.inputs, rows.outputs, views, sources, bool(static))

        def compiled(schedules: Sequence[str] = (), timed: bool = False) -> Launcher:
            return _launcher(options, bytecode, plan, schedules, timed)

        launch = _tuned(options, bytecode, compiled) if options.autotune else compiled()
    return launch


def _bytecode(module) -> bytes:
    buffer = BytesIO()
    module.operation.write_bytecode(buffer)
    return buffer.getvalue()


def _tuned(options: Options, bytecode: bytes, compiled: Callable) -> Tuned:
    name = None
    if options.cache:
        threads = options.num_threads or knobs.num_threads() or torch.get_num_threads()
        name = driver.tuning_key(bytecode, options.target, threads) + ".json"
    return Tuned(compiled, name)


def _launcher(
    options: Options, bytecode: bytes, plan: Plan, schedules: Sequence[str], timed: bool
) -> Launcher:
    """Compile the module, or find it in the cache, and load it; what is only timed is not kept."""
    profile = options.profile or knobs.profile()
    if profile:
        profiling.start_for_process()
    compiled = driver.compiled_module(
        bytecode,
        target=options.target,
        dump_dir=options.dump_dir,
        cache=options.cache and not timed,
        profile=profile or timed,
        weights_stay=True,
        schedules=schedules,
    )
    with compiled as library:
        return Launcher.load(library, plan, options)


class _NoResults:
    """A graph that only hands on arguments and sizes: there is nothing to compile."""

    def __init__(
        self,
        imported: ImportedFunction,
        placeholder_values: Sequence[Any],
        views: Views,
    ):
        sizes = SizeFunction(symbol_sources(placeholder_values))
        self.finish = finisher(imported.outputs, sizes, [None] * len(imported.outputs), views)

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        return self.finish(args, [])
