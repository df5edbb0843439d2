# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs as data: inputs, steps and outputs that print as readable Python.

Values are numbered: the inputs first, then one for each step. A step is one line of Python over
the values before it, so a program is run by executing exactly the text that it prints.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

Size = int | str
"""A dimension: a number, or the name of a size that differs between calls."""


class Capture(enum.Enum):
    """How a program becomes the graph that Buddy compiles, from cheapest to dearest."""

    GRAPH = "traced once, to Aten ops without side effects"
    AUTOGRAD = "by AOTAutograd, which keeps count of aliases"
    DYNAMO = "by torch.compile, as a user's"


@dataclass(frozen=True)
class Input:
    """An argument: `layout` is Python over `base`, a contiguous tensor, or over an earlier input.

    `base` has the shape that the layout starts from, `values` names an entry of VALUES.
    """

    base: tuple[Size, ...]
    dtype: torch.dtype
    layout: str = ""
    values: str = "normal"
    alias: int | None = None
    dynamic: tuple[int, ...] = ()  # dimensions to be marked
    widened: torch.dtype | None = None  # what it is converted to, once it is made

    def text(self, name: str, sizes: Mapping[str, int], seed: int) -> str:
        """The lines that make this input for one call."""
        if self.alias is not None:
            made = name_of(self.alias)
        else:
            shape = tuple(sizes.get(d, d) for d in self.base)
            made = f"filled({shape}, {self.dtype}, {self.values!r}, seed={seed})"
            made += f".to({self.widened})" if self.widened else ""
        lines = [f"{name} = {made}{self.layout.format(**sizes)}"]
        lines += [f"torch._dynamo.maybe_mark_dynamic({name}, {d})" for d in self.dynamic]
        return "\n".join(lines)


@dataclass(frozen=True)
class Step:
    """`template` (a row of the op table) names the op, `text` is it with its arguments drawn."""

    template: str
    text: str
    operands: tuple[int, ...]

    def line(self, result: int) -> str:
        body = self.text.format(*map(name_of, self.operands))
        if self.is_assignment:
            return f"{body}\n    {name_of(result)} = {name_of(self.operands[0])}"
        return f"{name_of(result)} = {body}"

    @property
    def is_assignment(self) -> bool:
        """Whether it writes to a part of operand 0, and is no expression."""
        return "] = " in self.text


@dataclass(frozen=True)
class Program:
    """A function and its calls; `calls` gives the named sizes of each."""

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    calls: tuple[Mapping[str, int], ...] = ({},)
    capture: Capture = Capture.DYNAMO

    def __str__(self) -> str:
        return self.source() + "\n\n" + self.arguments_source()

    @property
    def is_dynamic(self) -> bool:
        return len(self.calls) > 1

    def source(self, name: str = "program") -> str:
        """The function to be compiled."""
        count = len(self.inputs)
        lines = [s.line(count + i) for i, s in enumerate(self.steps)]
        lines.append(f"return [{', '.join(map(name_of, self.outputs))}]")
        parameters = ", ".join(map(name_of, range(count)))
        return f"def {name}({parameters}):\n    " + "\n    ".join(lines)

    def arguments_source(self) -> str:
        """A function of the call's number that makes the arguments."""
        text = "def arguments(call):"
        for i in range(len(self.calls)):
            body = "\n".join(self.argument_lines(i)).replace("\n", "\n        ")
            names = ", ".join(map(name_of, range(len(self.inputs))))
            text += f"\n    if call == {i}:\n        {body}\n        return [{names}]"
        return text

    def argument_lines(self, call: int) -> list[str]:
        sizes = self.calls[call]
        return [x.text(name_of(i), sizes, seed=i) for i, x in enumerate(self.inputs)]

    def function(self, name: str = "program"):
        """The program as a Python function of its inputs that returns a list."""
        namespace = {"torch": torch}
        exec(compile(self.source(name), f"<{name}>", "exec"), namespace)
        return namespace[name]

    def arguments(self, call: int) -> list[torch.Tensor]:
        """Fresh inputs of one call."""
        namespace = {"torch": torch, "filled": filled}
        exec("\n".join(self.argument_lines(call)), namespace)
        return [namespace[name_of(i)] for i in range(len(self.inputs))]


HALVES = (torch.bfloat16, torch.float16)


def widened(program: Program) -> Program:
    """The program with f32 in the place of half precision, on the same numbers."""
    inputs = [
        dataclasses.replace(x, widened=torch.float32 if x.dtype in HALVES else None)
        for x in program.inputs
    ]
    names = re.compile("|".join(map(re.escape, map(str, HALVES))))
    steps = [dataclasses.replace(s, text=names.sub("torch.float32", s.text)) for s in program.steps]
    return dataclasses.replace(program, inputs=tuple(inputs), steps=tuple(steps))


def name_of(value: int) -> str:
    """a, b, …, z, then v26, v27, …"""
    return string.ascii_lowercase[value] if value < 26 else f"v{value}"


VALUES = ("normal", "small", "special", "large")
_SPECIAL = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1.0, -1.0, 0.5, -2.5, 3e38, 1e-40]


def filled(shape: Sequence[int], dtype: torch.dtype, values: str, seed: int) -> torch.Tensor:
    """A contiguous tensor whose contents depend on the arguments alone.

    "normal" numbers (integers from -9 to 9), "small" ones with many ties, "special" ones
    (zeros of both signs, infinities, NaN, the ends of an integer's range), "large" ones.
    """
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) > 0.5
    if not dtype.is_floating_point:
        return _filled_with_integers(shape, dtype, values, generator)
    if values == "small":
        return torch.randint(-2, 3, shape, generator=generator).to(dtype) / 2
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    if values == "special":
        # Not the subnormal one for bf16, whose instructions on CPUs take it for zero.
        special = _SPECIAL[:-1] if dtype == torch.bfloat16 else _SPECIAL
        chosen = torch.tensor(special, dtype=torch.float64)
        picked = chosen[torch.randint(0, len(special), shape, generator=generator)]
        x = torch.where(torch.rand(shape, generator=generator) < 0.5, picked, x)
    return (x * 1000 if values == "large" else x).to(dtype)


def _filled_with_integers(shape, dtype, values, generator) -> torch.Tensor:
    limits = torch.iinfo(dtype)
    low, high = {"small": (0, 3), "large": (-1000, 1000)}.get(values, (-9, 10))
    x = torch.randint(max(low, limits.min), min(high, limits.max), shape, generator=generator)
    x = x.to(dtype)
    if values == "special":
        ends = torch.tensor([limits.min, limits.max, 0, 1], dtype=dtype)
        picked = ends[torch.randint(0, 4, shape, generator=generator)]
        x = torch.where(torch.rand(shape, generator=generator) < 0.3, picked, x)
    return x


def run_steps(program: Program, values: list, evaluate) -> list:
    """All values of the program, given the inputs; `evaluate(step, values)` does one step."""
    values = list(values)
    for step in program.steps:
        values.append(evaluate(step, values))
    return values


def evaluate(step: Step, values: Sequence[torch.Tensor]) -> torch.Tensor:
    """What the step makes of the values before it; an assignment gives the tensor written to."""
    names = {name_of(i): values[i] for i in step.operands}
    text = step.text.format(*map(name_of, step.operands))
    if step.is_assignment:
        exec(text, {"torch": torch}, names)
        return values[step.operands[0]]
    return eval(text, {"torch": torch}, names)
