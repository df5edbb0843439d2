# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs.

What is drawn are lists of small integers, genes; any such list means some program. A program grows
while eager PyTorch runs it, for all of its calls at once: a step that eager refuses, or that means
nothing (overlapping memory that is written to, a cast of NaN to an integer), is left out.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence

import torch
from arguments import is_quick, with_arguments
from hypothesis import strategies as st
from operations import FAMILIES, KINDS, Op, needs_dynamo
from programs import VALUES, Capture, Input, Program, Size, Step, evaluate

SIZES = (3, 1, 2, 5, 7, 8, 4, 16, 17, 33, 64, 1, 6, 9, 2, 0)
RANKS = (2, 1, 0, 3, 4, 2, 3, 1)
DTYPES = (
    *(torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.float32),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
MOST = 4096  # elements of an input
ATTEMPTS = 5  # rows to try for one step

MIN_STEPS, MAX_STEPS = 3, 30
# Of 64 programs: where a compile begins costs up to ten times as much as the compile.
CAPTURES = (Capture.GRAPH,) * 58 + (Capture.AUTOGRAD,) * 4 + (Capture.DYNAMO,) * 2
DYNAMIC = 0.5  # of those that Dynamo captures


def random_program(draw: random.Random) -> Program:
    """A program that runs in eager PyTorch, short ones as often as long ones twice their length."""
    shape = tuple(draw.choice(SIZES) for _ in range(draw.choice(RANKS)))
    capture = draw.choice(CAPTURES)
    dynamic = capture is Capture.DYNAMO and draw.random() < DYNAMIC
    genes = [(draw.randrange(8), _dtype(draw), _numbers(draw)) for _ in range(draw.randint(1, 4))]
    count = round(MIN_STEPS * (MAX_STEPS / MIN_STEPS) ** draw.random())
    steps = [
        (draw.randrange(len(FAMILIES)), draw.randrange(128), _numbers(draw)) for _ in range(count)
    ]
    outputs = [draw.randrange(16) for _ in range(draw.randint(0, 3))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Growth(shape, dynamic, capture, genes).grow(steps, outputs)


# The same programs as Hypothesis draws them, which is slower and shrinks what fails.
programs = st.randoms(use_true_random=False).map(random_program)


def _dtype(draw: random.Random) -> int:
    return draw.randrange(len(DTYPES))


def _numbers(draw: random.Random) -> list[int]:
    return [draw.randrange(16) for _ in range(7)]


class _Numbers:
    """The integers of a gene, one after the other; 0 when there are no more."""

    def __init__(self, gene: Sequence[int]):
        self.rest: Iterator[int] = iter(gene)

    def __call__(self, low: int, high: int) -> int:
        """The next one, folded into low..high."""
        return low + next(self.rest, 0) % (high - low + 1)


class _Growth:
    """A program under construction and its values in every call."""

    def __init__(self, shape: tuple[int, ...], dynamic: bool, capture: Capture, genes):
        self.capture = capture
        named: dict[str, tuple[int, ...]] = {}
        self.shape: tuple[Size, ...] = shape
        if dynamic and shape:
            self.shape = tuple(f"s{i}" if i < 2 and d > 1 else d for i, d in enumerate(shape))
            named = {f"s{i}": (d, d + 2, 2 * d) for i, d in enumerate(shape[:2]) if d > 1}
        count = 3 if named else 1
        self.calls = tuple({s: sizes[i] for s, sizes in named.items()} for i in range(count))
        self.inputs: list[Input] = []
        for gene in genes:
            self._add_input(*gene)
        if not any(x.dynamic for x in self.inputs):
            self.calls = ({},)
        self.steps: list[Step] = []
        self._start()

    def _program(self, outputs: Sequence[int] = ()) -> Program:
        parts = (tuple(self.inputs), tuple(self.steps), tuple(outputs), self.calls)
        return Program(*parts, self.capture)

    def _start(self) -> None:
        """Run what there is."""
        program = self._program()
        self.values = [program.arguments(i) for i in range(len(self.calls))]
        for step in self.steps:
            for values in self.values:
                values.append(evaluate(step, values))

    # Inputs.

    def _add_input(self, kind: int, dtype: int, numbers: Sequence[int]) -> None:
        number = _Numbers(numbers)
        chosen = DTYPES[dtype]
        values = VALUES[number(0, len(VALUES) - 1)]
        layout = number(0, 9)
        if layout == 9 and self.inputs and self.capture is not Capture.GRAPH:
            alias = number(0, len(self.inputs) - 1)
            view = ("[1:]", "", ".T", "[::2]", ".flatten()[1:]")[number(0, 4)]
            new = Input((), self.inputs[alias].dtype, view, alias=alias)
        else:
            shape = self._input_shape(kind, number)
            base, text = _with_layout(shape, layout)
            marked = tuple(i for i, d in enumerate(shape) if isinstance(d, str))
            new = Input(base, chosen, text, values, dynamic=marked)
        self.inputs.append(new)
        try:
            self._program_of_inputs_runs()
        except (RuntimeError, IndexError, ValueError):
            self.inputs[-1] = Input((), chosen, values=values)

    def _program_of_inputs_runs(self) -> None:
        program = Program(tuple(self.inputs), (), (), self.calls)
        for call in range(len(self.calls)):
            if program.arguments(call)[-1].numel() > MOST:
                raise ValueError("too large")

    def _input_shape(self, kind: int, number: _Numbers) -> tuple[Size, ...]:
        """The program's shape, or one that broadcasts or multiplies with it, or another one."""
        shape = self.shape
        if kind == 1:
            return shape[1:]
        if kind == 2 and shape:
            at = number(0, len(shape) - 1)
            return (*shape[:at], 1, *shape[at + 1 :])
        if kind == 3:
            return shape[::-1]
        if kind == 4:
            return tuple(SIZES[number(0, len(SIZES) - 1)] for _ in range(number(0, 3)))
        if kind == 5:
            return shape[-1:]
        return () if kind == 6 else shape

    # Steps.

    def grow(self, genes, outputs: Sequence[int]) -> Program:
        for family, row, numbers in genes:
            rows = FAMILIES[family]
            any(
                self._add_step(rows[(row + 11 * attempt) % len(rows)], _Numbers(numbers))
                for attempt in range(ATTEMPTS)
            )
        count = len(self.inputs) + len(self.steps)
        used = {i for step in self.steps for i in step.operands}
        unused = [i for i in range(len(self.inputs), count) if i not in used]
        chosen = {*unused, *(count - 1 - i % count for i in outputs)}
        return self._program(sorted(chosen))

    def _add_step(self, op: Op, number: _Numbers) -> bool:
        """Whether the op fits the values there are."""
        operands = self._operands(op, number)
        if operands is None:
            return False
        text = with_arguments(op.template, self.values[0][operands[0]], number)
        step = Step(op.template, text, operands)
        try:
            fine = self._run(op, step)
        except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError):
            fine = False
        if fine:
            self.steps.append(step)
        elif op.writes:
            self._start()  # it may have written before it failed
        else:
            for values in self.values:
                del values[len(self.inputs) + len(self.steps) :]
        return fine

    def _operands(self, op: Op, number: _Numbers) -> tuple[int, ...] | None:
        """Values that the op can take, newer ones first; None where there are none."""
        values = self.values[0]
        chosen: list[int] = []
        for place, kind in enumerate(op.kinds):
            fitting = [
                i
                for i in reversed(range(len(values)))
                if KINDS[kind](values[i])
                and (place or values[i].dim() >= op.ranks)
                and (not chosen or op.fits is None or op.fits(values[chosen[0]], values[i]))
            ]
            if not fitting:
                return None
            chosen.append(fitting[number(0, len(fitting) - 1)])
        return tuple(chosen)

    def _run(self, op: Op, step: Step) -> bool:
        """One more value in every call; False where the step means nothing."""
        kinds = set()
        for values in self.values:
            operands = [values[i] for i in step.operands]
            if not op.defined(*operands) or (op.writes and not _can_write(*operands)):
                return False
            inputs = values[: len(self.inputs)]
            if self.capture is not Capture.DYNAMO and needs_dynamo(op, operands, inputs):
                return False
            result = evaluate(step, values)
            if not isinstance(result, torch.Tensor) or not is_quick(result):
                return False
            if op.writes and _shows_nan(result, values):
                return False
            values.append(result)
            kinds.add((result.dtype, result.dim()))
        return len(kinds) == 1


def _with_layout(shape: tuple[Size, ...], layout: int) -> tuple[tuple[Size, ...], str]:
    """A contiguous shape and a view of it, or a copy, that has the given shape and odd strides."""
    rank = len(shape)
    sizes = "(" + "".join(f"{{{d}}}, " if isinstance(d, str) else f"{d}, " for d in shape) + ")"
    if layout == 1:
        return shape[::-1], f".permute({tuple(reversed(range(rank)))})" if rank else ""
    if layout == 2 and rank:
        return shape, ".repeat_interleave(2, -1)[..., ::2]"
    if layout == 3:
        return (3, *shape), "[1]"
    if layout == 4 and rank:
        return (*shape[:-1], 1), f".expand({sizes})"
    if layout == 5 and rank == 4:
        return shape, ".contiguous(memory_format=torch.channels_last)"
    if layout == 6 and rank > 1 and all(isinstance(d, int) and d for d in shape[-2:]):
        return (*shape[:-2], shape[-2] + shape[-1] - 1), f".unfold(-1, {shape[-1]}, 1)"
    if layout == 7 and rank and isinstance(shape[-1], int):
        return (*shape[:-1], shape[-1] + 3), "[..., 1:-2]"
    return shape, ""


def _places(x: torch.Tensor) -> torch.Tensor:
    """Where each element lies in the storage."""
    cells = torch.arange(x.untyped_storage().nbytes() // x.element_size())
    return cells.as_strided(x.shape, x.stride(), x.storage_offset())


def _shows_nan(written: torch.Tensor, values: list[torch.Tensor]) -> bool:
    """Whether integers among the values show the bits of a NaN, which may be any."""
    address = written.untyped_storage().data_ptr()
    return bool(written.isnan().any()) and any(
        x.untyped_storage().data_ptr() == address and x.dtype != written.dtype for x in values
    )


def _can_write(target: torch.Tensor, *sources: torch.Tensor) -> bool:
    """Whether no element is written twice, or read after it was written as another one."""
    own = _places(target).flatten()
    if own.unique().numel() != own.numel():
        return False
    for x in sources:
        shared = x.untyped_storage().data_ptr() == target.untyped_storage().data_ptr()
        if not shared or 0 in (x.numel(), target.numel()):
            continue
        if x.dtype != target.dtype:
            return False
        exact = (x.shape, x.stride()) == (target.shape, target.stride())
        if exact and x.storage_offset() == target.storage_offset():
            continue
        if torch.isin(_places(x).flatten(), own).any():
            return False
    return True
