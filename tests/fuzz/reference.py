# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a program may answer: eager's values, and how far a correct compiler may be from them.

A value is free when an op that rounds, or one computed from it, made it; or an op an operand of
which, in half precision, need not be rounded. How free, each of its elements tells: the program
runs again, every free op in f64 and disturbed by its freedom at the precision it works in, and
rounded as eager rounds. Where these runs agree with eager to the last bit, so must the compiler;
where they differ, it may be a few times as far.
"""

from __future__ import annotations

import enum
import functools
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from operations import BY_TEMPLATE, Freedom, Op
from programs import HALVES, Program, Step, evaluate, run_steps, widened

RUNS = 8
MANY_RUNS = 100
SAFETY = 4.0
UNITS = 4  # in the last place, of a rounded op
# Eager's vector functions of f64 lose digits of subnormal results, or all of them.
LOST_F64 = torch.finfo(torch.float64).smallest_normal * 2.0**-16
COMPARISONS = {f"torch.{name}({{0}}, {{1}})" for name in ("eq", "ne", "lt", "le", "gt", "ge")}
TRUNCATED = "torch.div({0}, {1}, rounding_mode='trunc')"


@dataclass
class Observed:
    """All that a caller sees of a run: outputs, and the memory of the inputs."""

    outputs: list[torch.Tensor]
    inputs: list[torch.Tensor]

    @property
    def memory(self) -> list[torch.Tensor]:
        """The whole storage of each input, also what its view leaves out."""
        whole = []
        for x in self.inputs:
            flat = torch.empty(0, dtype=x.dtype)
            whole.append(flat.set_(x.untyped_storage()))
        return whole

    def tensors(self) -> list[torch.Tensor]:
        return [*self.outputs, *self.memory]


class Latitude(enum.Enum):
    """What a tensor may be, for what it is computed from."""

    EXACT = "as in eager, to the last bit"
    UNROUNDED = "as if something before it were not rounded"
    INEXACT = "as if its own operation were off, and a unit beside that"


class _Marks:
    """Storages whose elements are, or are computed from, what a compiler need not make as eager."""

    def __init__(self):
        self.inexact: set[int] = set()
        self.unrounded: set[int] = set()

    def spread(self, op: Op, read: set[int], made: set[int], result, halves: bool) -> None:
        """What one step makes of what it reads; `halves`: it reads or makes half precision."""
        floating = result.dtype.is_floating_point
        if read & self.inexact or (floating and op.freedom is not Freedom.EXACT):
            self.inexact |= made
        elif read & self.unrounded or (halves and not op.moves):
            self.unrounded |= made

    def latitude(self, x: torch.Tensor) -> Latitude:
        if storage(x) in self.inexact:
            return Latitude.INEXACT
        return Latitude.UNROUNDED if storage(x) in self.unrounded else Latitude.EXACT


def storage(x: torch.Tensor) -> int:
    """The name of its memory."""
    return x.untyped_storage().data_ptr()


class Reference:
    """One call of a program in eager PyTorch."""

    def __init__(self, program: Program, call: int):
        self.program = program
        self.call = call
        self.inputs = program.arguments(call)
        self.values = run_steps(program, self.inputs, self._evaluate)
        self.observed = self._observe(self.inputs, self.values)
        self._disturbed: list[list[torch.Tensor]] = []

    def _evaluate(self, step: Step, values: list) -> torch.Tensor:
        return evaluate(step, values)

    def _observe(self, inputs: list, values: list) -> Observed:
        return Observed([values[i] for i in self.program.outputs], inputs)

    @cached_property
    def free(self) -> list[Latitude]:
        """For each tensor observed, whether it may differ from eager's."""
        inputs = self.program.arguments(self.call)
        marks = _Marks()

        def follow(step: Step, values: list) -> torch.Tensor:
            read = {storage(values[i]) for i in step.operands}
            halves = any(is_half(values[i]) for i in step.operands)
            result = evaluate(step, values)
            op = BY_TEMPLATE[step.template]
            made = {storage(result)} | ({storage(values[step.operands[0]])} if op.writes else set())
            marks.spread(op, read, made, result, halves or is_half(result))
            return result

        # Kept alive until the end: an address is the storage's name.
        values = run_steps(self.program, inputs, follow)
        return [marks.latitude(x) for x in self._observe(inputs, values).tensors()]

    def disturbed(self, runs: int) -> list[list[torch.Tensor]]:
        """The tensors observed in each disturbed run.

        In the first half precision is f32, as in a compiler that does not round what it does not
        store; in others of it some results are rounded.
        """
        for run in range(len(self._disturbed), runs):
            if run % 4 == 2 or not run:
                self._disturbed.append(self._run_wide(run))
                continue
            disturbance = Disturbance(run, amplitude=float(run > 1), snaps=run % 2 > 0)
            inputs = self.program.arguments(self.call)
            follow = functools.partial(self._disturb, disturbance)
            values = run_steps(self.program, inputs, follow)
            self._disturbed.append(self._observe(inputs, values).tensors())
        return self._disturbed[:runs]

    def _disturb(self, disturbance: Disturbance, step: Step, values: list) -> torch.Tensor:
        """Disturbed; as eager's where an integer is divided by what that made 0."""
        try:
            return disturbance.evaluate(step, values)
        except RuntimeError as error:
            if "ZeroDivisionError" not in str(error):
                raise
            return self.values[len(values)].clone()

    def _run_wide(self, run: int) -> list[torch.Tensor]:
        """With f32 for half precision; but for run 0 disturbed, every other result rounded.

        Rounded to bf16 as CPUs' instructions do it: subnormal numbers are 0. What is truncated may
        be rounded before, as in eager, though its operands are not.
        """
        program = widened(self.program)
        inputs = program.arguments(self.call)
        draw = random.Random(run)
        disturbance = Disturbance(run, amplitude=float(run > 0), snaps=False)

        def follow(step: Step, values: list) -> torch.Tensor:
            result = self._disturb(disturbance, step, values) if run else evaluate(step, values)
            narrow = self.values[len(values)].dtype
            if run and step.template == TRUNCATED and narrow in HALVES and draw.random() < 0.5:
                x, y = (values[i] for i in step.operands)
                result.copy_((x / y).to(narrow).trunc())
            if any(result is values[i] and self.values[i].dtype != narrow for i in step.operands):
                result = result.double().float()  # a conversion that is one no more
            moves = BY_TEMPLATE[step.template].moves
            if run and narrow in HALVES and not moves and draw.random() < 0.5:
                rounded = result.to(narrow)
                if narrow == torch.bfloat16:
                    rounded[rounded.abs() < torch.finfo(narrow).smallest_normal] *= 0
                result.copy_(rounded)
            return result

        values = run_steps(program, inputs, follow)
        own = self.observed.tensors()
        return [x.to(y.dtype) for x, y in zip(self._observe(inputs, values).tensors(), own)]

    def allowance(self, position: int, runs: int = RUNS) -> torch.Tensor:
        """How far each element of a tensor may be from eager's, infinity where any will do.

        More runs find more of the jumps that a value near a whole number or a tie may make.
        """
        own = self.observed.tensors()[position]
        wide = own.to(torch.float64)
        most = torch.zeros_like(wide)
        for run in self.disturbed(runs):
            other = run[position].to(torch.float64)
            same = (other == wide) | (other.isnan() & wide.isnan())
            distance = torch.where(same, 0.0, (other - wide).abs())
            most = torch.maximum(most, torch.where(distance.isfinite(), distance, torch.inf))
        if not own.dtype.is_floating_point:
            return torch.where(most > 0, torch.inf, 0.0)
        limits = torch.finfo(own.dtype)
        if self.free[position] is Latitude.UNROUNDED:
            return SAFETY * most
        least = LOST_F64 if own.dtype == torch.float64 else limits.smallest_normal * limits.eps
        unit = (wide.abs() * limits.eps).clamp_min(least)
        return SAFETY * most + torch.where(wide.isfinite(), unit, 0.0)


def is_half(x: torch.Tensor) -> bool:
    return x.dtype in HALVES


class Disturbance:
    """One run in which every free op does as it may.

    With `snaps` sums that almost cancel are 0: what another order of additions may make of them.
    In every other such run equal elements stay equal where a mean is subtracted from them.
    """

    def __init__(self, seed: int, amplitude: float, snaps: bool):
        self.generator = torch.Generator().manual_seed(seed)
        self.amplitude = amplitude
        self.snaps = snaps
        self.levels = snaps and seed % 4 == 3

    def evaluate(self, step: Step, values: list) -> torch.Tensor:
        op = BY_TEMPLATE[step.template]
        if step.template in COMPARISONS:
            return self._flip_ties(step, values)
        if op.freedom is Freedom.EXACT:
            return evaluate(step, values)
        if op.freedom is Freedom.ZERO_SIGN:
            result = evaluate(step, values)
            return self._flip_zeros(result, in_place=op.writes)
        return self._evaluate_wide(step, values, op)

    def _flip_ties(self, step: Step, values: list) -> torch.Tensor:
        """Where the operands are so near that the roundings of what made them decide."""
        result = evaluate(step, values)
        x, y = (values[i] for i in step.operands)
        if not (x.dtype.is_floating_point or y.dtype.is_floating_point):
            return result
        x, y = x.double(), y.double()
        unit = 2 * UNITS * torch.finfo(torch.float32).eps * self.amplitude
        ties = (x - y).abs() <= unit * torch.maximum(x.abs(), y.abs())
        return result ^ (ties & (self._noise(result.shape) > 0))

    def _flip_zeros(self, x: torch.Tensor, in_place: bool) -> torch.Tensor:
        if not x.dtype.is_floating_point or not self.amplitude:
            return x
        flipped = torch.where((x == 0) & (self._noise(x.shape) > 0), -x, x)
        return x.copy_(flipped) if in_place else flipped

    def _evaluate_wide(self, step: Step, values: list, op) -> torch.Tensor:
        """In f64, with operands (if sums may be reordered) and result slightly off."""
        kept = [values[i].clone() for i in step.operands]
        natural = evaluate(step, {**dict(enumerate(values)), **dict(zip(step.operands, kept))})
        if not natural.dtype.is_floating_point:
            return evaluate(step, values)
        work = torch.float64 if natural.dtype == torch.float64 else torch.float32
        adds = op.freedom in (Freedom.ACCUMULATED, Freedom.CENTERED, Freedom.LOGARITHMIC)
        centers = op.freedom is Freedom.CENTERED
        levels = centers and self.levels
        unit = torch.finfo(work).eps * self.amplitude
        wide = {}
        for i in step.operands:
            x = values[i]
            if x.dtype.is_floating_point or _leaves_exact_sums(x):
                x = x.to(torch.float64, copy=True)
                if adds and not levels:
                    x = x * (1 + 2 * unit * self._noise(x.shape))
            wide[i] = x
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            result = evaluate(step, wide)
        finally:
            torch.set_default_dtype(default)
        units = UNITS + (_repeats(wide.values()) / 8 if adds else 0)
        result = result * (1 + units * unit * self._noise(result.shape))
        if work == torch.float64:
            result = result + _lost(result, wide) * self.amplitude * self._noise(result.shape)
        if ".gelu(" in step.template:  # half of x times a difference that may be near 0
            (x,) = wide.values()
            result = result + unit * x.nan_to_num(0, 0, 0) * self._noise(result.shape)
        if centers:
            result = self._off_center(result, *wide.values(), work)
            result = self._flip_zeros(result, in_place=False)
        if op.freedom is Freedom.LOGARITHMIC:  # roundings add up like steps of a random walk
            terms = max((size for x in wide.values() for size in x.shape), default=1)
            result = result + unit * terms**0.5 * self._noise(result.shape)
        if self.amplitude and adds:
            overflows, turn = self._overflows(step, wide, work), self._noise(result.shape)
            result = torch.where(overflows & (turn > 0.5), 0, result)
            result = torch.where(overflows & (turn.abs() < 0.25), torch.inf, result)
            result = torch.where(overflows & (turn.abs() < 0.1), torch.nan, result)  # inf * 0
            result = torch.where(overflows & (turn < -0.5), -result, result)
        if self.snaps and adds and not levels:
            result = torch.where(result.abs() <= UNITS * unit * _largest(wide.values()), 0, result)
        if op.writes:
            return values[step.operands[0]].copy_(result)
        return torch.empty_like(natural).copy_(result)

    def _off_center(self, result: torch.Tensor, x: torch.Tensor, work) -> torch.Tensor:
        """What layer norm makes of a mean that is off by the size of the largest element.

        That may be anything, also zeros, where the sum of squares passes the largest number.
        """
        if not x.numel():
            return result
        limits = torch.finfo(work)
        spread = (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        off = x.abs().amax(-1, keepdim=True) / spread * self._noise(spread.shape)
        squares = x.nan_to_num(0, 0, 0).square().sum(-1, keepdim=True)
        result = result + 2 * limits.eps * self.amplitude * off
        turn = self._noise(())
        anything = torch.inf if turn > 0.3 else torch.nan if turn < -0.3 else 0.0
        return torch.where(squares > limits.max, anything, result) if self.amplitude else result

    def _overflows(self, step: Step, wide: dict, work: torch.dtype) -> torch.Tensor:
        """Where a sum of finite terms, or that of a mean, may pass the largest number on its way."""
        sizes = {
            i: x.abs().nan_to_num(0, 0, 0) if x.dtype.is_floating_point else x
            for i, x in wide.items()
        }
        limits = torch.finfo(work)
        if ".prod(" in step.template:  # what a factor makes infinite or 0, another one may not undo
            large, small = ({i: f(x) for i, x in sizes.items()} for f in (_above_1, _below_1))
            return (evaluate(step, large) > limits.max) | (evaluate(step, small) < limits.tiny)
        terms = max((x.numel() for x in wide.values()), default=1)
        return evaluate(step, sizes).abs() > limits.max / max(terms, 1)

    def _noise(self, shape) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator, dtype=torch.float64) * 2 - 1


def _lost(result: torch.Tensor, operands: dict) -> torch.Tensor:
    """How far the results of a function may be off where they are almost 0 and its operand is not."""
    x, *others = operands.values()
    if others or x.shape != result.shape:
        return torch.zeros(())
    almost = (result.abs() < torch.finfo(torch.float64).smallest_normal) & (x != 0) & x.isfinite()
    return almost.double() * LOST_F64


def _above_1(sizes: torch.Tensor) -> torch.Tensor:
    return sizes.clamp_min(1)


def _below_1(sizes: torch.Tensor) -> torch.Tensor:
    return torch.where(sizes == 0, 1, sizes).clamp_max(1)


def _leaves_exact_sums(integers: torch.Tensor) -> bool:
    """Whether floats add them in other ways in another order: beyond 2^53 they are not all there."""
    return float(integers.double().abs().sum()) > 2**53 if integers.dtype == torch.int64 else False


def _repeats(tensors: Iterable[torch.Tensor]) -> float:
    """How often a term may be added: the roundings of equal terms go the same way."""
    counts = (min(x.numel() / x.unique().numel(), max(x.shape)) for x in tensors if x.numel() > 1)
    return max(counts, default=1.0)


def _largest(tensors: Iterable[torch.Tensor]) -> float:
    """The largest finite magnitude among all floats; 0 where there are none."""
    magnitudes = (x[x.isfinite()].abs() for x in tensors if x.dtype.is_floating_point)
    return max((float(x.max()) for x in magnitudes if x.numel()), default=0.0)
