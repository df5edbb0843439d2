# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compile random programs with Buddy and compare all that they do with eager PyTorch.

    python tests/fuzz/campaign.py --graphs 20000 --seed 1 --jobs 2

A campaign that was stopped goes on where it was: rounds done are in tally.json in the output
folder, whose sums `--tally` prints. Findings are shrunk, printed, and written to the output folder as tests ready to be pasted into
tests/fuzz/test_findings.py. Exit status 1 if there are any.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import random
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drawing import MIN_STEPS, random_program
from programs import Program
from reduction import reduced
from tally import Tally, current_commit
from worker import Usage, Verdict, Worker

ROUND = 64  # programs between two reports
BATCH = 16  # programs that are compiled as one
SHRINK_SECONDS = 60  # for a finding
WARM = 400  # programs after which a worker's memory is measured
LEAK = 60_000  # bytes a program
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Finding:
    """A program, as small as could be made, and what is wrong with it."""

    program: Program
    verdict: Verdict
    number: int

    def as_test(self) -> str:
        """Python that can be pasted as a test."""
        comment = textwrap.indent(self.verdict.text[:1500], "# ", lambda line: True)
        body = textwrap.indent(str(self.program), "    ")
        calls = len(self.program.calls)
        return (
            f"# {self.verdict.kind} (program {self.number})\n{comment}\n"
            f"def test_finding():\n{body}\n\n    check_calls(program, arguments, {calls})\n"
        )


@dataclass
class Report:
    """One round's result, or several rounds' together."""

    graphs: int = 0
    verdicts: Counter = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    fallbacks: Counter = field(default_factory=Counter)
    since_finding: int = 0

    def add(self, other: Report) -> None:
        self.graphs += other.graphs
        self.verdicts += other.verdicts
        self.findings += other.findings
        self.usage = other.usage
        self.fallbacks |= other.fallbacks
        self.since_finding = 0 if other.findings else self.since_finding + other.graphs


def program_of(number: int) -> Program:
    """The program depends on its number alone."""
    return random_program(random.Random(number))


def draw_round(first: int) -> dict[int, Program]:
    """The programs from number `first` on, without those that came out too short."""
    drawn = {number: program_of(number) for number in range(first, first + ROUND)}
    return {number: p for number, p in drawn.items() if len(p.steps) >= MIN_STEPS}


def judge_round(drawn: dict[int, Program], worker: Worker) -> dict[int, Verdict]:
    """Each program's verdict."""
    verdicts: dict[int, Verdict] = {}
    numbers = list(drawn)
    for start in range(0, len(numbers), BATCH):
        group = numbers[start : start + BATCH]
        verdicts.update(zip(group, worker.judge([drawn[number] for number in group])))
    return verdicts


def shrink(program: Program, found: Verdict, number: int, worker: Worker) -> Finding:
    """The program made small, for a while, as long as it fails alike."""
    smallest = Finding(program, found, number)
    end = time.monotonic() + SHRINK_SECONDS

    def fails(smaller: Program) -> bool:
        nonlocal smallest
        if time.monotonic() > end:
            return False
        verdict = worker.judge([smaller])[0]
        if verdict.kind == found.kind:
            smallest = Finding(smaller, verdict, number)
        return verdict.kind == found.kind

    reduced(program, fails)
    return smallest


def run_round(first: int, worker: Worker, shrinking: bool) -> Report:
    drawn = draw_round(first)
    verdicts = judge_round(drawn, worker)
    report = Report(len(drawn), Counter(verdict.kind for verdict in verdicts.values()))
    for number, verdict in verdicts.items():
        if verdict.is_finding and shrinking:
            report.findings.append(shrink(drawn[number], verdict, number, worker))
        elif verdict.is_finding:
            report.findings.append(Finding(drawn[number], verdict, number))
    report.usage = worker.usage()
    report.fallbacks = Counter(report.usage.fallbacks)
    return report


class LeakWatch:
    """Compares what a worker holds with what it held when it was warm."""

    def __init__(self):
        self.warm: Usage | None = None
        self.graphs = 0
        self.start = -1

    def see(self, worker: Worker, graphs: int, now: Usage) -> Verdict | None:
        """A verdict where handles or mapped modules stay, or memory grows steadily."""
        if worker.starts != self.start:
            self.warm, self.graphs, self.start = None, 0, worker.starts
        self.graphs += graphs
        if self.warm is None:
            self.warm = now if self.graphs >= WARM else None
            return None
        if now.libraries or now.handles > self.warm.handles:
            return Verdict("leak", f"{now}, after the first {WARM} programs {self.warm}")
        return None

    def growth(self, usage: Usage) -> float:
        """Bytes a program since the process was warm."""
        more = self.graphs - WARM
        return (usage.resident - self.warm.resident) / more if self.warm and more > WARM else 0.0


def run_job(job: int, options: argparse.Namespace, wanted: int, done: set[int], queue) -> None:
    """Every `jobs`-th round of programs that is not done, until there are `wanted` in all jobs."""
    watch = LeakWatch()
    left = wanted / options.jobs
    with Worker() as worker:
        for number in itertools.count(job, options.jobs):
            if left <= 0 or not multiprocessing.parent_process().is_alive():
                break
            if number in done:
                continue
            first = options.seed * 1_000_000 + ROUND * number
            report = run_round(first, worker, options.shrink)
            left -= report.graphs
            leak = watch.see(worker, report.graphs, report.usage)
            queue.put((number, report, leak, watch.growth(report.usage)))
    queue.put((0, None, None, 0.0))


def reports(options: argparse.Namespace, tally: Tally) -> Iterator[tuple]:
    """What the jobs send, as it comes."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    wanted = options.graphs - tally.graphs(options.seed)
    rest = (options, wanted, tally.rounds(options.seed), queue)
    jobs = [context.Process(target=run_job, args=(i, *rest)) for i in range(options.jobs)]
    for process in jobs:
        process.start()
    running = len(jobs)
    while running:
        item = queue.get()
        if item[1] is None:
            running -= 1
        else:
            yield item
    for process in jobs:
        process.join()


def write(findings: Iterable[Finding], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for finding in findings:
        text = finding.as_test()
        path = folder / f"{finding.verdict.kind}-{abs(hash(text)) % 10**8:08}.py"
        path.write_text(text)
        print(f"\n{path}\n{text}", flush=True)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--graphs", type=int, default=1000, help="programs of the seed in all (default 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed: other programs")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes (default 2)")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false", help="report as drawn")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz", help="for findings")
    parser.add_argument("--tally", action="store_true", help="print what is done, run nothing")
    return parser.parse_args()


def main() -> int:
    options = parsed_arguments()
    tally = Tally(options.out / "tally.json", current_commit())
    if options.tally:
        print(tally)
        return 0
    total, started, worst = Report(), time.monotonic(), 0.0
    leaks: list[Verdict] = []
    for number, report, leak, growth in reports(options, tally):
        total.add(report)
        tally.add(options.seed, number, report.graphs, report.verdicts)
        worst = max(worst, growth)
        leaks += [leak] if leak else []
        write(report.findings, options.out)
        rate = total.graphs / (time.monotonic() - started)
        print(
            f"{total.graphs} graphs, {rate:.1f}/s, {len(total.findings)} findings "
            f"({total.since_finding} since the last), {dict(total.verdicts)}, "
            f"{report.usage.resident >> 20} MiB, {growth / 1024:.0f} KiB a graph",
            flush=True,
        )
    print(tally)
    print("run eagerly:", dict(total.fallbacks))
    for leak in leaks[:3]:
        print(leak.text)
    if worst > LEAK:
        print(f"memory grows by {worst:.0f} bytes a graph")
    return int(bool(total.findings or leaks or worst > LEAK))


if __name__ == "__main__":
    sys.exit(main())
