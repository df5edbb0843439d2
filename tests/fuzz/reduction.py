# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Making a failing program small.

Each candidate is simpler and may be nonsense; `fails` decides, to which nonsense does not fail.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from programs import Input, Program, Step


def reduced(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A program that fails and of which no candidate does."""
    smaller = next(filter(fails, candidates(program)), None)
    while smaller is not None:
        program = smaller
        smaller = next(filter(fails, candidates(program)), None)
    return program


def candidates(program: Program) -> Iterator[Program]:
    """Programs that are simpler by one thing, those with the most less first."""
    change = dataclasses.replace
    if len(program.outputs) > 1:
        yield from (without_unused(change(program, outputs=(o,))) for o in program.outputs)
    if not _is_same(program, without_unused(program)):
        yield without_unused(program)
    for i in reversed(range(len(program.steps))):
        yield from without_step(program, i)
    for i in range(len(program.outputs)):
        rest = program.outputs[:i] + program.outputs[i + 1 :]
        if rest:
            yield change(program, outputs=rest)
    if program.is_dynamic:
        yield change(program, calls=program.calls[:1])
    for i, given in enumerate(program.inputs):
        simpler = {
            Input(given.base, given.dtype, given.layout, "normal", given.alias, given.dynamic),
            dataclasses.replace(given, layout="") if given.alias is None else given,
            dataclasses.replace(given, dynamic=()),
        }
        for other in simpler - {given}:
            yield change(program, inputs=_replaced(program.inputs, i, other))


def _is_same(a: Program, b: Program) -> bool:
    return str(a) == str(b)


def _replaced(items: tuple, i: int, item) -> tuple:
    return (*items[:i], item, *items[i + 1 :])


def without_unused(program: Program) -> Program:
    """Without steps and last inputs that nothing reads; what is written to stays."""
    needed = set(program.outputs)
    count = len(program.inputs)
    kept: list[int] = []
    for i in reversed(range(len(program.steps))):
        step = program.steps[i]
        if count + i in needed or "_(" in step.template or step.is_assignment:
            needed.update(step.operands)
            kept.insert(0, i)
    inputs = [i for i in range(count) if i in needed or _is_aliased(program, i)] or [0]
    values = [*inputs, *(count + i for i in kept)]
    return _renumbered(program, values, {})


def _is_aliased(program: Program, i: int) -> bool:
    return any(x.alias == i for x in program.inputs)


def without_step(program: Program, i: int) -> Iterator[Program]:
    """Without step i: an operand, or an input, is read in the place of its result."""
    own = len(program.inputs) + i
    values = [v for v in range(len(program.inputs) + len(program.steps)) if v != own]
    for stand_in in dict.fromkeys((*program.steps[i].operands, *range(len(program.inputs)))):
        yield _renumbered(program, values, {own: stand_in})


def _renumbered(program: Program, values: Sequence[int], stand_ins: dict[int, int]) -> Program:
    """The program of these values alone, in their order."""
    count = len(program.inputs)
    place = {value: i for i, value in enumerate(values)}
    place |= {gone: place[other] for gone, other in stand_ins.items()}
    inputs = [program.inputs[v] for v in values if v < count]
    aliases = [
        x if x.alias is None else dataclasses.replace(x, alias=place[x.alias]) for x in inputs
    ]
    steps = [program.steps[v - count] for v in values if v >= count]
    moved = [Step(s.template, s.text, tuple(place[o] for o in s.operands)) for s in steps]
    outputs = dict.fromkeys(place[o] for o in program.outputs)
    return dataclasses.replace(
        program, inputs=tuple(aliases), steps=tuple(moved), outputs=tuple(outputs)
    )
