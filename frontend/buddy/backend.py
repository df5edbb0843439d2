# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`torch.compile(model, backend="buddy")`: capture, decompose, import, compile, launch."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import torch
from torch import fx
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.exc import ShortenTraceback

from . import counters, driver, knobs, partition, profiling
from .attention_capture import capture_attention
from .autotune import Tuned
from .decompose import decompositions
from .errors import BuddyError, UnsupportedOpError
from .executable import (
    ENTRY,
    Launcher,
    SizeFunction,
    argument_positions,
    finisher,
    symbol_sources,
)
from .expanded_writes import restore_writes
from .importer import import_graph, new_module, refused
from .layouts import row_major
from .memory import give_back_code
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

log = logging.getLogger(__name__)

Compiled = Callable[[Sequence[Any]], Sequence[Any]]


def buddy(
    graph_module: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    options: Mapping[str, Any] | None = None,
    mode: str | None = None,
) -> Callable:
    """The Dynamo backend: a callable with the meaning of `graph_module`.

    Raises OptionError for options it does not know, UnsupportedOpError with fallback=False,
    CompilerError when the native compiler fails.
    """
    del mode  # levels of effort that other backends have
    with _errors_as_they_are():
        chosen = Options.parse(options)
        inference = not torch.is_grad_enabled()
        if inference:
            capture_attention(graph_module)
        compile_as = functools.partial(_compile_graph, chosen)
        backend = aot_autograd(
            fw_compiler=functools.partial(_compile_forward, chosen),
            bw_compiler=functools.partial(compile_as, False),
            inference_compiler=functools.partial(compile_as, freezes(chosen, inference)),
            decompositions=decompositions(training=not inference),
            keep_inference_input_mutations=True,
        )
        # The graph makes the tokens that order effects itself: its arguments are the user's own.
        with torch._functorch.config.patch(unlift_effect_tokens=True):
            return backend(graph_module, example_inputs)


def freezes(options: Options, inference: bool) -> bool:
    """Parameters are bound once only while no gradient can change them."""
    return inference if options.freeze is None else options.freeze and inference


class _errors_as_they_are:  # noqa: N801 - used like a function
    """Lets our errors through Dynamo unwrapped, so that `except buddy.BuddyError` works."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, BuddyError) and not isinstance(error, ShortenTraceback):
            raise _unwrapped(error).with_traceback(traceback) from error.__cause__


def _unwrapped(error: BuddyError) -> BuddyError:
    """The error, also of the kind that Dynamo re-raises as it is."""
    kind = type(error)
    both = _unwrapped_class(kind)
    copy = both.__new__(both, *error.args)
    copy.__dict__.update(error.__dict__, args=error.args)
    copy.first_useful_frame = None
    return copy


@functools.cache
def _unwrapped_class(kind: type) -> type:
    return type(kind.__name__, (kind, ShortenTraceback), {"__module__": kind.__module__})


def _compile_graph(
    options: Options, freeze: bool, graph_module: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable:
    """AOTAutograd's compiler of one graph; the callable takes its arguments as one list."""
    static = static_inputs() if freeze else frozenset()
    return _boxed(compile_graph(options, graph_module, static))


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
        # Some 80 MiB, which neither what comes next nor the compiled model needs.
        give_back_code("libLLVM.so", "libMLIRPythonCAPI.so")

        def compiled(schedules: Sequence[str] = (), timed: bool = False) -> Launcher:
            executable = _load(options, bytecode, schedules, timed)
            return Launcher(executable, imported, positions, values, rows, views, bool(static))

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


def _load(options: Options, bytecode: bytes, schedules: Sequence[str], timed: bool) -> Any:
    """Compile the module, or find it in the cache, and load it; what is only timed is not kept."""
    from . import _runtime

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
    with compiled as library, counters.stage("load"):
        threads = options.num_threads or knobs.num_threads()
        if threads:
            _runtime.set_num_threads(threads)
        return _runtime.Executable(str(library))


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
