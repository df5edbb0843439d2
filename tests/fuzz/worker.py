# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that compiles programs and judges their answers; it may die of them.

`Worker` is its owner's side: it starts the process, hands it programs, and makes a verdict of a
death or a hang. Several programs are compiled as one; one that fails there, or that Dynamo is to
capture, is compiled alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import multiprocessing
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from programs import Capture, Program, evaluate, run_steps

CPU_SECONDS = 180  # of one request, until it counts as a hang
POLL_SECONDS = 5
WARM_REQUESTS = 3


@dataclass(frozen=True)
class Verdict:
    """`kind`: ok, mismatch, error, crash, hang, leak; or upstream: PyTorch alone fails as well.

    `differences` are a mismatch's, by aspect.
    """

    kind: str
    text: str = ""
    differences: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("ok", "upstream")


@dataclass
class Usage:
    """What the process holds, its garbage collected, and what it has done."""

    resident: int = 0  # bytes
    handles: int = 0
    libraries: int = 0  # compiled modules that are mapped
    fallbacks: dict[str, int] = field(default_factory=dict)


OK = Verdict("ok")


# The process.


def serve(connection, folder: str) -> None:
    """Judge programs until the owner hangs up."""
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    log = os.open(Path(folder, "stderr"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    warnings.simplefilter("ignore")
    import buddy  # noqa: F401 - registers the backend
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(EOFError):
        for requests in itertools.count():
            programs = connection.recv()
            connection.send(usage() if programs is None else judge(programs))
            if requests < WARM_REQUESTS:  # what they load stays, and need not be gone through again
                gc.collect()
                gc.freeze()


def judge(programs: Sequence[Program]) -> list[Verdict]:
    """A verdict for each program."""
    verdicts: dict[int, Verdict] = {}
    for capture in (Capture.GRAPH, Capture.AUTOGRAD):
        group = [p for p in programs if p.capture is capture]
        verdicts.update(zip(map(id, group), _judge_together(group)))
    return [OK if verdicts.get(id(p)) == OK else judge_alone(p) for p in programs]


def judge_alone(program: Program) -> Verdict:
    """The program compiled by Buddy, less what PyTorch alone gets wrong in the same way."""
    verdict = _attempt(program, ours=True)
    if not verdict.is_finding:
        return verdict
    alone = _attempt(program, ours=False)
    if verdict.kind == alone.kind == "error":
        if program.capture is Capture.DYNAMO:
            return Verdict("upstream", verdict.text)
        return judge_alone(dataclasses.replace(program, capture=Capture.DYNAMO))
    if verdict.kind != "mismatch":
        return verdict
    known = {*alone.differences, *_mispredicted_strides(program)}
    own = {a: text for a, text in verdict.differences.items() if a not in known}
    if not own:
        return Verdict("upstream", verdict.text)
    return Verdict("mismatch", "\n".join(own.values()), own)


def _mispredicted_strides(program: Program) -> list[str]:
    """Outputs that PyTorch's fake tensors, all that a compiler sees, lay out otherwise."""
    odd = _mispredicted_values(program)
    values = run_steps(program, program.arguments(0), evaluate)
    own = [f"strides of output {i}" for i, value in enumerate(program.outputs) if value in odd]
    return own + _mispredicted_once_functional(program, [values[i] for i in program.outputs])


def _mispredicted_values(program: Program) -> set[int]:
    """Results with other strides than fake tensors say, and what is computed from them."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    odd: set[int] = set()
    mode = FakeTensorMode()

    def follow(step, values):
        fakes = {i: mode.from_tensor(values[i]) for i in step.operands}
        predicted = None
        with contextlib.suppress(Exception), mode:  # of a step that reads an element
            predicted = evaluate(step, fakes)
        result = evaluate(step, values)
        known = predicted is None or predicted.stride() == result.stride()
        if not known or odd.intersection(step.operands):
            odd.add(len(values))
        return result

    run_steps(program, program.arguments(0), follow)
    return odd


def _mispredicted_once_functional(program: Program, expected: Sequence) -> list[str]:
    """The same of the whole program, in which nothing writes in place any more."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    arguments = program.arguments(0)
    try:
        with FakeTensorMode() as mode:
            traced = torch.func.functionalize(program.function())
            fakes = traced(*map(mode.from_tensor, arguments))
    except Exception:  # Python reads an element
        return []
    pairs = enumerate(zip(fakes, expected))
    return [f"strides of output {i}" for i, (a, b) in pairs if a.stride() != b.stride()]


def _attempt(program: Program, ours: bool) -> Verdict:
    from captured import compiled
    from comparison import check_program

    return _checked(lambda: check_program(program, compiled([program], ours=ours)))


def _checked(check) -> Verdict:
    """The verdict of a check that raises; nothing that Dynamo knows is left after it."""
    import torch
    from comparison import Mismatch

    torch._dynamo.reset()
    try:
        with torch.no_grad():
            check()
    except Mismatch as mismatch:
        return Verdict("mismatch", str(mismatch), mismatch.differences)
    except Exception as error:
        return Verdict("error", f"{type(error).__name__}: {error}")
    finally:
        torch._dynamo.reset()
    return OK


def _judge_together(programs: Sequence[Program]) -> list[Verdict]:
    """A verdict for each; where one stops the others it is left out, or else halves are tried."""
    verdicts: list[Verdict] = []
    stuck: list[int] = []
    verdict = _checked(lambda: verdicts.extend(_verdicts_together(programs, stuck)))
    if verdict == OK:
        return verdicts
    if len(programs) == 1:
        return [verdict]
    if stuck:
        (i,) = stuck
        rest = _judge_together([*programs[:i], *programs[i + 1 :]])
        return [*rest[:i], verdict, *rest[i:]]
    half = len(programs) // 2
    return [*_judge_together(programs[:half]), *_judge_together(programs[half:])]


def _verdicts_together(programs: Sequence[Program], stuck: list[int]) -> list[Verdict]:
    """Each program's verdict, from two calls of one graph of all of them.

    The number of a program that cannot be traced is added to `stuck`.
    """
    from captured import compiled
    from comparison import check_call
    from reference import Observed, Reference

    run = compiled(programs, ours=True, stuck=stuck) if programs else None
    references = [Reference(p, 0) for p in programs]
    verdicts = [OK] * len(programs)
    for _ in range(2 if programs else 0):
        groups = [p.arguments(0) for p in programs]
        answers = iter(run(*(x for group in groups for x in group)))
        for i, (program, inputs) in enumerate(zip(programs, groups)):
            outputs = list(itertools.islice(answers, len(program.outputs)))
            actual = Observed(outputs, inputs)
            verdict = _checked(lambda: check_call(references[i], actual))  # noqa: B023
            verdicts[i] = verdict if verdicts[i] == OK else verdicts[i]
    return verdicts


def usage() -> Usage:
    import buddy

    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    maps = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    return Usage(
        resident=pages * os.sysconf("SC_PAGE_SIZE"),
        handles=len(os.listdir("/proc/self/fd")),
        libraries=sum("module.so" in name for name in maps),
        fallbacks=dict(buddy.stats()["fallback_ops"]),
    )


# Its owner.


class Worker:
    """A process and the means to get a verdict in any case; use it as a context manager."""

    def __init__(self):
        self.starts = 0
        self._process = None

    def __enter__(self) -> Worker:
        self._start()
        return self

    def __exit__(self, *error) -> None:
        self._stop()

    def judge(self, programs: Sequence[Program]) -> list[Verdict]:
        """A verdict for each; programs after which the process was dead are asked for alone."""
        answer = self._ask(list(programs))
        if isinstance(answer, list):
            return answer
        if len(programs) == 1:
            return [answer]
        return [verdict for p in programs for verdict in self.judge([p])]

    def usage(self) -> Usage:
        """Of the process as it is now; of a new one, if it dies of the question."""
        answer = self._ask(None)
        return Usage() if isinstance(answer, Verdict) else answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.starts += 1
        self._folder = tempfile.mkdtemp(prefix="buddy-fuzz-")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        self._connection.close()
        self._process.join(POLL_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, programs: Sequence[Program] | None) -> list[Verdict] | Usage | Verdict:
        """The answer, or a verdict of a death; without programs it is asked for its usage."""
        start = self._cpu_seconds()
        try:
            self._connection.send(programs)
            while not self._connection.poll(POLL_SECONDS):
                if self._cpu_seconds() - start > CPU_SECONDS:
                    return self._died(Verdict("hang", f"more than {CPU_SECONDS} s"))
            return self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            said = Path(self._folder, "stderr").read_text(errors="replace")[-2000:]
            return self._died(Verdict("crash", f"exit status {self._process.exitcode}\n{said}"))

    def _died(self, verdict: Verdict) -> Verdict:
        self._stop()
        self._start()
        return verdict

    def _cpu_seconds(self) -> float:
        """Of the process and its children: a process that is stopped does not hang."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
