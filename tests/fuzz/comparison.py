# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whether a compiled program answers as eager PyTorch does, in all that a caller can see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from programs import Capture, Program
from reference import MANY_RUNS, RUNS, Latitude, Observed, Reference

COUNT = "number of outputs"


class Mismatch(AssertionError):
    """A compiled program did not answer as eager does; `differences` says how, by aspect."""

    def __init__(self, differences: Mapping[str, str]):
        super().__init__("\n".join(differences.values()))
        self.differences = dict(differences)


def check_program(program: Program, compiled: Callable) -> None:
    """Every call of the program, then the first again; raises Mismatch of all differences."""
    found: dict[str, str] = {}
    for call in (*range(len(program.calls)), 0):
        inputs = program.arguments(call)
        outputs = compiled(*inputs)
        found = differences(Reference(program, call), Observed(list(outputs), inputs)) | found
    if found:
        raise Mismatch(found)


def check_call(reference: Reference, actual: Observed) -> None:
    """One call; raises Mismatch of all differences."""
    if found := differences(reference, actual):
        raise Mismatch(found)


def differences(reference: Reference, actual: Observed) -> dict[str, str]:
    """By aspect ("strides of output 0") what is not as in eager: types, strides, aliases, values."""
    expected = reference.observed
    found = form_differences(actual, expected)
    if COUNT in found:
        return found
    if reference.program.capture is Capture.GRAPH:
        found = _of_own_memory(found, expected)
    labels = [f"output {i}" for i in range(len(expected.outputs))]
    labels += [f"memory of input {i}" for i in range(len(expected.inputs))]
    for i, (a, b) in enumerate(zip(actual.tensors(), expected.tensors())):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            continue  # found already
        if text := _value_difference(reference, i, a, b):
            found[f"values of {labels[i]}"] = f"{labels[i]} {text}"
    return found


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
            if found := form_differences(actual, expected):
                raise Mismatch(found)
            for a, b in zip(actual.tensors(), expected.tensors()):
                torch.testing.assert_close(a, b, equal_nan=True)


def form_differences(actual: Observed, expected: Observed) -> dict[str, str]:
    """Of number, types, strides and aliases of outputs and inputs."""
    if len(actual.outputs) != len(expected.outputs):
        counts = f"{len(actual.outputs)} outputs where eager has {len(expected.outputs)}"
        return {COUNT: counts}
    found: dict[str, str] = {}
    for i, (a, b) in enumerate(zip(actual.outputs, expected.outputs)):
        found |= _layout_differences(f"output {i}", a, b)
    for i, (a, b) in enumerate(zip(actual.inputs, expected.inputs)):
        found |= _layout_differences(f"input {i}", a, b)
    return found | _alias_differences(actual, expected)


def _layout_differences(label: str, a: torch.Tensor, b: torch.Tensor) -> dict[str, str]:
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return {f"type of {label}": f"{label} is {_described(a)}, in eager {_described(b)}"}
    strides = [(s, t) for s, t, d in zip(a.stride(), b.stride(), b.shape) if d > 1]
    if b.numel() and any(s != t for s, t in strides):
        text = f"{label} has strides {a.stride()}, in eager {b.stride()}"
        return {f"strides of {label}": text}
    return {}


def _described(x: torch.Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"


def _alias_differences(actual: Observed, expected: Observed) -> dict[str, str]:
    """Pairs of outputs and inputs that share memory in one of them only."""
    pairs = enumerate(zip(_sharing(actual), _sharing(expected)))
    return {
        f"aliases of output {i}": f"output {i} shares memory with {a}, in eager with {b}"
        for i, (a, b) in pairs
        if a != b
    }


def _of_own_memory(found: Mapping[str, str], expected: Observed) -> dict[str, str]:
    """Without aliases, and strides of what shares memory: AOTAutograd's work, not a graph's."""
    views = [f"strides of output {i}" for i, names in enumerate(_sharing(expected)) if names]
    return {
        aspect: text
        for aspect, text in found.items()
        if aspect not in views and not aspect.startswith("aliases")
    }


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


def _value_difference(reference: Reference, position: int, a, b) -> str:
    """How a tensor's elements are not as in eager, or not as near to that as they must be."""
    if a.dtype == torch.bfloat16:
        a = _unflushed(a, b)
    if _same_bits(a, b).all():
        return ""
    if reference.free[position] is Latitude.EXACT:
        return _report(a, b, ~_same_bits(a, b), "exact")
    wide_a, wide_b = a.to(torch.float64), b.to(torch.float64)
    equal = (wide_a == wide_b) | (wide_a.isnan() & wide_b.isnan())
    for runs in (RUNS, MANY_RUNS):
        allowed = reference.allowance(position, runs)
        wrong = ~(equal | allowed.isinf() | ((wide_a - wide_b).abs() <= allowed))
        if not wrong.any():
            return ""
    return _report(a, b, wrong, f"within {allowed[wrong][:4].tolist()}")


def _unflushed(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a` with b's subnormal numbers where it has zeros of the same sign.

    CPUs' instructions that round to bf16 make zeros of those; eager's kernels round in integers.
    """
    subnormal = (b != 0) & (b.abs() < torch.finfo(b.dtype).smallest_normal)
    return torch.where(subnormal & (a == 0) & (a.signbit() == b.signbit()), b, a)


def _same_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if not a.dtype.is_floating_point:
        return a == b
    return ((a == b) & (a.signbit() == b.signbit())) | (a.isnan() & b.isnan())


def _report(a, b, wrong: torch.Tensor, how: str) -> str:
    first: Sequence[int] = wrong.nonzero()[0].tolist()
    return (
        f"({_described(b)}, {how}): {int(wrong.sum())} of {wrong.numel()} elements differ, "
        f"first at {first}: {a[wrong][:4].tolist()}, in eager {b[wrong][:4].tolist()}"
    )
