# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether a compiled program answers as eager PyTorch does, in all that a caller can see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from programs import Program
from reference import MANY_RUNS, RUNS, Observed, Reference


class Mismatch(AssertionError):
    """A compiled program did not answer as eager does."""


def check_program(program: Program, compiled: Callable) -> None:
    """Every call of the program, then the first again; raises Mismatch."""
    for call in (*range(len(program.calls)), 0):
        inputs = program.arguments(call)
        outputs = compiled(*inputs)
        check_call(Reference(program, call), Observed(list(outputs), inputs))


def check_call(reference: Reference, actual: Observed) -> None:
    """Types, strides, aliases and values of one call; raises Mismatch saying where."""
    expected = reference.observed
    check_form(actual, expected)
    labels = [f"output {i}" for i in range(len(expected.outputs))]
    labels += [f"memory of input {i}" for i in range(len(expected.inputs))]
    for i, (a, b) in enumerate(zip(actual.tensors(), expected.tensors())):
        _check_values(labels[i], reference, i, a, b)


def check_calls(program: Callable, arguments: Callable, calls: int = 1) -> None:
    """The form of a finding: `program`, compiled, on `arguments(call)` against itself in eager.

    Floats within torch.testing's tolerances, for there is no op table to derive them from.
    """
    dynamic = None if calls > 1 else False
    compiled = torch.compile(program, backend="buddy", dynamic=dynamic)
    with torch.no_grad():
        for call in (*range(calls), 0):
            inputs, own = arguments(call), arguments(call)
            expected = Observed(list(program(*own)), own)
            actual = Observed(list(compiled(*inputs)), inputs)
            check_form(actual, expected)
            for a, b in zip(actual.tensors(), expected.tensors()):
                torch.testing.assert_close(a, b, equal_nan=True)


def check_form(actual: Observed, expected: Observed) -> None:
    """Number, types, strides and aliases of outputs and inputs."""
    if len(actual.outputs) != len(expected.outputs):
        raise Mismatch(f"{len(actual.outputs)} outputs where eager has {len(expected.outputs)}")
    for i, (a, b) in enumerate(zip(actual.outputs, expected.outputs)):
        _check_layout(f"output {i}", a, b)
    for i, (a, b) in enumerate(zip(actual.inputs, expected.inputs)):
        _check_layout(f"input {i}", a, b)
    _check_aliases(actual, expected)


def _check_layout(label: str, a: torch.Tensor, b: torch.Tensor) -> None:
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        raise Mismatch(f"{label} is {_described(a)}, in eager {_described(b)}")
    strides = [(s, t) for s, t, d in zip(a.stride(), b.stride(), b.shape) if d > 1]
    if b.numel() and any(s != t for s, t in strides):
        raise Mismatch(f"{label} has strides {a.stride()}, in eager {b.stride()}")


def _described(x: torch.Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"


def _check_aliases(actual: Observed, expected: Observed) -> None:
    """The same pairs of outputs and inputs share memory, at the same offset."""
    pairs = zip(_sharing(actual), _sharing(expected))
    for i, (a, b) in enumerate(pairs):
        if a != b:
            raise Mismatch(f"output {i} shares memory with {a}, in eager with {b}")


def _sharing(observed: Observed) -> list[list[str]]:
    """For each output, the inputs and earlier outputs that it shares memory with."""
    named = [(f"input {i}", x) for i, x in enumerate(observed.inputs)]
    sharing = []
    for i, x in enumerate(observed.outputs):
        address = x.untyped_storage().data_ptr()
        sharing.append(
            [n for n, y in named if address and y.untyped_storage().data_ptr() == address]
        )
        named.append((f"output {i}", x))
    return sharing


def _check_values(label: str, reference: Reference, position: int, a, b) -> None:
    if a.dtype == torch.bfloat16:
        a, b = _flushed(a), _flushed(b)
    if _same_bits(a, b).all():
        return
    if not reference.free[position]:
        wrong = ~_same_bits(a, b)
        raise Mismatch(_report(label, a, b, wrong, "exact"))
    wide_a, wide_b = a.to(torch.float64), b.to(torch.float64)
    equal = (wide_a == wide_b) | (wide_a.isnan() & wide_b.isnan())
    for runs in (RUNS, MANY_RUNS):
        allowed = reference.allowance(position, runs)
        wrong = ~(equal | allowed.isinf() | ((wide_a - wide_b).abs() <= allowed))
        if not wrong.any():
            return
    raise Mismatch(_report(label, a, b, wrong, f"within {allowed[wrong][:4].tolist()}"))


def _flushed(x: torch.Tensor) -> torch.Tensor:
    """Subnormal numbers as zeros: that is how CPUs' instructions round to bf16."""
    return torch.where(x.abs() < torch.finfo(x.dtype).smallest_normal, torch.copysign(x * 0, x), x)


def _same_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if not a.dtype.is_floating_point:
        return a == b
    return ((a == b) & (a.signbit() == b.signbit())) | (a.isnan() & b.isnan())


def _report(label: str, a, b, wrong: torch.Tensor, how: str) -> str:
    first: Sequence[int] = wrong.nonzero()[0].tolist()
    return (
        f"{label} ({_described(b)}, {how}): {int(wrong.sum())} of {wrong.numel()} elements differ, "
        f"first at {first}: {a[wrong][:4].tolist()}, in eager {b[wrong][:4].tolist()}"
    )
