# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One process of tools/opinfo.py: ops of PyTorch's OpInfo database, compiled and compared.

The samples of an op are compiled as one graph, and one by one only where that fails. A sample
counts where `aot_eager` compiles it as one graph. Its answer is eager's within the tolerances of
`torch.testing`, or else as near to the answer in f64 as eager's is. What eager itself answers
differently with another seed (random ops, uninitialized memory) is compared by shape and dtype
alone.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.utils import _pytree as pytree

MODES = {"native": {"fallback": False}, "fallback": {"fallback": True}}
# From best to worst: an op is as good as its worst sample.
STATUSES = ("pass", "unsupported", "wrong", "crash")
# Their elements are whatever lies in memory, which need not differ between two runs.
UNINITIALIZED = (
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
)  # fmt: skip


@dataclass
class Request:
    """What to do with one op."""

    op: str
    dtype: str | None  # None: float32, or else the first supported one
    modes: list[str]
    samples: int
    backward: bool


@dataclass
class Outcome:
    """An op in one mode: `samples` counts statuses, `detail` is the first failure's message."""

    samples: Counter = field(default_factory=Counter)
    unsupported: list[str] = field(default_factory=list)
    fallback: Counter = field(default_factory=Counter)
    detail: str = ""

    @property
    def status(self) -> str:
        return max(self.samples, key=STATUSES.index, default="skipped")

    def add(self, status: str, detail: str = "") -> None:
        self.samples[status] += 1
        if status != "pass" and not self.detail:
            self.detail = detail

    def record(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "samples": dict(self.samples),
            "unsupported": self.unsupported,
            "fallback": dict(self.fallback),
            "detail": self.detail,
        }


def op_table() -> dict[str, Any]:
    """Every OpInfo by name, the variant after a dot."""
    from torch.testing._internal.common_methods_invocations import op_db

    return {op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""): op
            for op in op_db}  # fmt: skip


def dtype_for(op, request: Request) -> torch.dtype | None:
    """The dtype asked for, float32, or the first other one; None where the op has none."""
    supported = op.supported_backward_dtypes("cpu") if request.backward else None
    supported = supported if request.backward else op.supported_dtypes("cpu")
    if request.dtype:
        wanted = getattr(torch, request.dtype)
        return wanted if wanted in supported else None
    if torch.float32 in supported:
        return torch.float32
    return min(supported, key=str, default=None)


def serve(requests: Connection, threads: int) -> None:
    """Answer requests until the other end closes."""
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    import buddy.backend

    if "buddy" not in torch._dynamo.list_backends(exclude_tags=None):
        torch._dynamo.register_backend(buddy.backend.buddy, name="buddy")
    from buddy.recording import recording

    ops = op_table()
    requests.send("ready")
    with recording(lambda how, op: COMPILED.add(str(op))):
        while True:
            try:
                request = requests.recv()
            except EOFError:
                return
            requests.send(run_op(ops[request.op], request))


COMPILED: set[str] = set()  # overloads that were lowered or decomposed


def run_op(op, request: Request) -> dict[str, Any]:
    """The record of one op: dtype, and the outcome of each mode."""
    dtype = dtype_for(op, request)
    COMPILED.clear()
    record: dict[str, Any] = {"dtype": str(dtype).removeprefix("torch."), "modes": {}}
    outcomes = {mode: Outcome() for mode in request.modes}
    if dtype is not None and (not request.backward or op.supports_autograd):
        _run_samples(op, _samples(op, dtype, request), request, outcomes)
    record["compiled"] = sorted(COMPILED)
    record["modes"] = {mode: outcome.record() for mode, outcome in outcomes.items()}
    return record


def _samples(op, dtype: torch.dtype, request: Request) -> list:
    torch.manual_seed(0)
    try:
        made = op.sample_inputs("cpu", dtype, requires_grad=request.backward)
        return list(itertools.islice(made, request.samples))
    except Exception:  # no samples on this machine: nothing to compare
        return []


@dataclass
class Case:
    """A sample and eager's answer: see `_evaluate`."""

    sample: Any
    expected: list


def _run_samples(op, samples: list, request: Request, outcomes: dict[str, Outcome]) -> None:
    """Compare the samples in each mode; with fallback only what is not native differs."""
    cases = []
    for sample in samples:
        try:
            (expected,) = _evaluate(op, [sample], None, request.backward)
        except Exception:  # nothing to compare with
            continue
        if not request.backward or expected[1]:
            cases.append(Case(sample, expected))
    passed: list[Case] = []
    for mode in request.modes:
        for _ in passed:
            outcomes[mode].add("pass")  # the same compile, to the byte
        rest = [case for case in cases if not any(case is p for p in passed)]
        passed += _run_mode(op, rest, request, mode, outcomes[mode])


def _run_mode(op, cases: list[Case], request: Request, mode: str, outcome: Outcome) -> list[Case]:
    """The cases that pass: all in one compile, or else one after the other."""
    if len(cases) > 1 and _all_pass(op, cases, request, mode, outcome):
        return cases
    return [case for case in cases if _compare(op, case, request, mode, outcome) == "pass"]


def _all_pass(op, cases: list[Case], request: Request, mode: str, outcome: Outcome) -> bool:
    """Whether all cases pass as one graph, which takes one compile instead of many."""
    import buddy

    buddy.reset()
    samples, options = [case.sample for case in cases], MODES[mode]
    try:
        answers = _evaluate(op, samples, "buddy", request.backward, options=options)
    except Exception:  # each for itself says which one it was
        return False
    if any(mismatch(answer, case.expected) for answer, case in zip(answers, cases)):
        return False
    outcome.fallback.update(buddy.stats()["fallback_ops"])
    for _ in cases:
        outcome.add("pass")
    return True


def _compare(op, case: Case, request: Request, mode: str, outcome: Outcome) -> str | None:
    """The status of one case; None where it does not count."""
    import buddy

    buddy.reset()
    status, detail = "pass", ""
    try:
        (actual,) = _evaluate(op, [case.sample], "buddy", request.backward, options=MODES[mode])
    except Exception as error:
        status, detail = _failure(error, outcome)
    fallback = buddy.stats()["fallback_ops"]
    if status == "pass" and (detail := mismatch(actual, case.expected)):
        status = "wrong"
    if status != "pass":
        try:
            (graph,) = _evaluate(op, [case.sample], "aot_eager", request.backward)
        except Exception:
            return None
    if status == "wrong" and _is_allowed(op, case, request.backward, actual, graph):
        status, detail = "pass", ""
    outcome.fallback.update(fallback)
    outcome.add(status, detail)
    return status


def _is_allowed(op, case: Case, backward: bool, actual: Any, graph: Any) -> bool:
    """Whether an answer that is not eager's is none the worse."""
    (again,) = _evaluate(op, [case.sample], None, backward, seed=1)
    if op.name in UNINITIALIZED or mismatch(again, case.expected):
        return not mismatch(actual, case.expected, values=False)
    # Tracing alone may change an answer, by a decomposition or a random number drawn in between.
    if not mismatch(actual, graph):
        return True
    return _is_as_good(op, case.sample, backward, actual, case.expected)


def _is_as_good(op, sample, backward: bool, actual: Any, expected: Any) -> bool:
    """Whether both are equally far from the answer in f64, but for one rounding."""
    if mismatch(actual, expected, values=False):
        return False
    try:
        precise = pytree.tree_leaves(_evaluate(op, [sample], None, backward, wide=True))
    except Exception:  # the op does not know f64
        return False
    for a, b, p in zip(pytree.tree_leaves(actual), pytree.tree_leaves(expected), precise):
        if _difference(a, b, values=True) and not _is_as_near(a, b, p):
            return False
    return True


def _is_as_near(actual: Any, expected: Any, precise: Any) -> bool:
    if not isinstance(precise, torch.Tensor) or precise.shape != expected.shape:
        return False
    if not expected.is_floating_point() or not torch.equal(actual.isfinite(), expected.isfinite()):
        return False
    finite = expected.isfinite() & precise.isfinite()
    if not torch.equal(actual[~finite].nan_to_num(), expected[~finite].nan_to_num()):
        return False
    if not finite.any():
        return True
    actual, expected, precise = actual[finite], expected[finite], precise[finite]
    rounding = torch.finfo(expected.dtype).eps * precise.abs().max()
    return (actual - precise).abs().max() <= 2 * (expected - precise).abs().max() + rounding


def _failure(error: BaseException | None, outcome: Outcome) -> tuple[str, str]:
    import buddy

    text = "".join(traceback.format_exception_only(error)).strip()
    while error is not None:
        if isinstance(error, buddy.UnsupportedOpError):
            for op in error.ops:
                line = f"{op.target}: {op.reason}" if op.reason else op.target
                if line not in outcome.unsupported:
                    outcome.unsupported.append(line)
            return "unsupported", str(error)
        error = error.__cause__ or error.__context__
    return "crash", text[:4000]


def _evaluate(op, samples: list, backend, backward: bool, seed: int = 0, options=None, wide=False):
    """For each sample the outputs, gradients with `backward`, and the arguments after the call.

    All samples compiled as one graph by `backend`, or eager.
    """
    torch._dynamo.reset()
    calls = [((sample.input, *sample.args), sample.kwargs) for sample in samples]
    calls = pytree.tree_map_only(torch.Tensor, _copy_wide if wide else _copy, calls)

    def fn(calls):
        return [op(*args, **kwargs) for args, kwargs in calls]

    if backend is not None:
        keywords = {"options": options} if options else {}
        fn = torch.compile(fn, backend=backend, fullgraph=True, **keywords)
    torch.manual_seed(seed)
    with contextlib.nullcontext() if backward else torch.no_grad():
        results = fn(calls)
    gradients = _gradients(calls, results, samples) if backward else [[] for _ in calls]
    return [list(answer) for answer in zip(results, gradients, calls)]


def _copy(x: torch.Tensor) -> torch.Tensor:
    return x.detach().clone().requires_grad_(x.requires_grad)


def _copy_wide(x: torch.Tensor) -> torch.Tensor:
    wide = x.detach().double() if x.is_floating_point() else x.detach()
    return wide.clone().requires_grad_(x.requires_grad)


def _gradients(calls, results, samples) -> list[list[torch.Tensor | None]]:
    """Of the leaves of each call, for cotangents that do not depend on the seed."""
    leaves = [_requiring(call) for call in calls]
    outputs = []
    for result, sample in zip(results, samples):
        process = sample.output_process_fn_grad
        outputs += _requiring(process(result) if process is not None else result)
    flat = [leaf for own in leaves for leaf in own]
    if not outputs or not flat:
        return [[] for _ in calls]
    # Without the regularity, and so the cancellation, of a formula.
    draw = torch.Generator().manual_seed(0)
    cotangents = [torch.randn(x.shape, generator=draw, dtype=torch.float64).to(x.dtype)
                  for x in outputs]  # fmt: skip
    found = iter(torch.autograd.grad(outputs, flat, cotangents, allow_unused=True))
    return [list(itertools.islice(found, len(own))) for own in leaves]


def _requiring(tree) -> list[torch.Tensor]:
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, torch.Tensor) and x.requires_grad]


def mismatch(actual: Any, expected: Any, values: bool = True) -> str:
    """How two results differ; empty where they do not."""
    mine, theirs = pytree.tree_leaves(actual), pytree.tree_leaves(expected)
    if len(mine) != len(theirs):
        return f"{len(mine)} results instead of {len(theirs)}"
    for number, (a, b) in enumerate(zip(mine, theirs)):
        if difference := _difference(a, b, values):
            return f"result {number}: {difference}"
    return ""


def _difference(a: Any, b: Any, values: bool) -> str:
    if not isinstance(b, torch.Tensor):
        equal = a == b or (isinstance(b, float) and math.isnan(b) and math.isnan(a))
        return "" if equal or not values else f"{a} instead of {b}"
    if not isinstance(a, torch.Tensor):
        return f"{type(a)} instead of a tensor"
    if (a.dtype, a.shape, a.layout) != (b.dtype, b.shape, b.layout):
        return f"{a.dtype}{list(a.shape)} instead of {b.dtype}{list(b.shape)}"
    if not values or not b.numel() or a.device.type == "meta":
        return ""
    try:
        torch.testing.assert_close(a.detach(), b.detach(), equal_nan=True)
    except AssertionError as error:
        return str(error)
    except Exception:  # layouts that assert_close does not know
        return "" if torch.equal(a.to_dense(), b.to_dense()) else "values differ"
    return ""
