# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as callables: captured in one of the ways of `programs.Capture`, and compiled.

Several programs are captured as one function of all of their inputs, which costs little more than
one of them, and without Dynamo, which takes longer than all the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from programs import Capture, Program
from torch import fx

OPTIONS = {"cache": False}


def compiled(programs: Sequence[Program], *, ours: bool, stuck: list[int] | None = None):
    """All programs, captured alike, as one function of all inputs that returns all outputs.

    By Buddy, or else run as captured by PyTorch alone. The number of a program that cannot be
    captured is added to `stuck`, and the error raised.
    """
    stuck = [] if stuck is None else stuck
    if programs[0].capture is Capture.DYNAMO:
        (program,) = programs
        return _by_dynamo(program, ours)
    function = _together(programs, stuck)
    inputs = [x for p in programs for x in p.arguments(0)]
    if programs[0].capture is Capture.AUTOGRAD:
        return _by_autograd(function, inputs, ours)
    return _by_tracing(function, inputs, ours)


def _together(programs: Sequence[Program], stuck: list[int]) -> Callable:
    """One function of all inputs that returns all outputs."""
    functions = [(p.function(), len(p.inputs)) for p in programs]

    def together(*arguments):
        left = iter(arguments)
        outputs = []
        for i, (function, count) in enumerate(functions):
            try:
                outputs += function(*itertools.islice(left, count))
            except Exception:
                stuck.append(i)
                raise
        return tuple(outputs)

    return together


def _by_dynamo(program: Program, ours: bool) -> Callable:
    return torch.compile(
        program.function(),
        backend="buddy" if ours else "aot_eager",
        dynamic=None if program.is_dynamic else False,
        options=OPTIONS if ours else None,
    )


def _by_autograd(function: Callable, inputs: Sequence[torch.Tensor], ours: bool) -> Callable:
    """As Dynamo would hand the function to a backend."""
    from buddy.backend import buddy
    from torch._dynamo.backends.debugging import aot_eager

    graph = fx.Graph()
    placeholders = [graph.placeholder(f"x{i}") for i in range(len(inputs))]
    graph.output(graph.call_function(function, tuple(placeholders)))
    module = fx.GraphModule({}, graph)
    return buddy(module, inputs, options=OPTIONS) if ours else aot_eager(module, inputs)


def _by_tracing(function: Callable, inputs: Sequence[torch.Tensor], ours: bool) -> Callable:
    """Functional, but for the copies to inputs at its end, and taken apart as for Buddy."""
    from buddy.compilation import compile_graph
    from buddy.decompose import decompositions
    from buddy.options import Options
    from torch.fx.experimental.proxy_tensor import make_fx

    functional = torch.func.functionalize(function, remove="mutations")
    table = decompositions(training=False)
    graph = make_fx(functional, decomposition_table=table, tracing_mode="fake")(*inputs)
    if not ours:
        return graph
    run = compile_graph(Options.parse(OPTIONS), graph, frozenset())
    return lambda *arguments: run(arguments)
