# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Eager, Inductor and Buddy beside each other: speed, compile time, memory and numerics.

Each backend of a workload runs in a process of its own, with empty compile caches. The processes
are started one after the other and then asked in turn for one timed iteration each, so that a
drifting machine hits all alike. An untimed iteration comes before the timed one; an iteration
repeats a call that is too short to be timed. Times are medians per call, ratios are medians of the
turns' own: a machine that has two speeds may give the medians of two backends at one each.

`compile_s` is what the first call takes longer than the second. Errors are the largest absolute
difference, from eager or from eager in f64, relative to the largest value there. Peak memory is
that of the process, and that of all processes, compilers that it starts included, until the third
call has ended. `inductor-max` is mode="max-autotune" with freezing, and
`copy` copies the bytes of a part's inputs and outputs, which nothing that reads and writes them
can beat. `buddy-exported` is `buddy.compile` of the exported module, without Dynamo's share of a call.
`preemptions` counts how often another process took a core from a timed iteration: figures of a
machine that is not idle are not worth having, for a thread that waits at a barrier loses most.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import math
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from backends import BACKENDS, LIMITED
from process_memory import PeakMemory
from rich.console import Console
from rich.table import Table
from workloads import WORKLOADS, Workload, build

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f64": torch.float64}
ITERATION_SECONDS = 0.005
# Longer than OpenMP's idle threads spin with the environment below: a turn starts on idle cores.
SETTLE_SECONDS = 0.01
EXIT_SECONDS = 5
SPIN = {"KMP_BLOCKTIME": "1", "GOMP_SPINCOUNT": "100000"}  # both about a millisecond
# A result is not fresh memory at each call (up to 32 MiB, the most that glibc takes): page faults
# would be most of what is measured.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}


# In a worker process.


class Job:
    """A workload under one backend, called three times: compiled, warm and timed roughly."""

    def __init__(self, backend: str, name: str, dtype: str):
        self.workload: Workload = build(name, DTYPES[dtype])
        self.function = BACKENDS[backend](self.workload.module)
        self.report: dict[str, Any] = {}
        first, second, third = (self.call() for _ in range(3))
        self.calls = max(1, math.ceil(ITERATION_SECONDS / third))
        if backend != "eager":
            self.report["compile_s"] = first - second
        if backend == "buddy":
            import buddy

            counts = buddy.stats()
            for figure in ("graphs", "nodes_fallback", "fallback_ops"):
                self.report[figure] = counts[figure]

    def call(self) -> float:
        self.workload.reset()
        self.output = None  # freed outside the time
        start = time.perf_counter()
        self.output = self.workload.run(self.function)
        return time.perf_counter() - start

    def results(self) -> list[torch.Tensor]:
        return [tensor.detach() for tensor in self.workload.results(self.output)]

    def turn(self) -> dict[str, float]:
        """Seconds of a call in the second of two iterations."""
        for _ in range(2):
            before = preemptions()
            seconds = sum(self.call() for _ in range(self.calls)) / self.calls
        figures = {"seconds": seconds, "preemptions": preemptions() - before}
        return figures | {"peak_rss_bytes": peak_rss()}


def preemptions() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def peak_rss() -> int:
    """Not getrusage, where a child starts with its parent's peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def first_line(error: Exception) -> str:
    """Of what the backend raised, not of Dynamo's wrapper around it."""
    error = getattr(error, "inner_exception", error)
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:200]


def serve(connection: Connection, folder: Path, threads: int, *job: str) -> None:
    """Report on the first calls, then take one turn for each message until the pipe closes."""
    os.setsid()  # killed as a group, with the compilers that it started
    with (folder / "log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(threads)
    with contextlib.suppress(EOFError):
        try:
            job = Job(*job)
            torch.save(job.results(), folder / "partial")
            (folder / "partial").rename(folder / "results.pt")  # whole, should the worker be killed
            connection.send(job.report)
            while True:
                connection.recv()  # blocks: an idle worker takes no core
                connection.send(job.turn())
        except EOFError:
            raise
        except Exception as error:
            connection.send({"error": first_line(error), "traceback": traceback.format_exc()})


# In the parent.


class Worker:
    """The parent's side of a worker; a reply with the key "error" is its last."""

    def __init__(self, options: argparse.Namespace, folder: Path, *job: str):
        self.folder, self.timeout = folder, options.timeout
        folder.mkdir()
        caches = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "BUDDY_CACHE_DIR": "buddy"}
        os.environ.update({name: str(folder / cache) for name, cache in caches.items()})
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, folder, options.threads, *job)
        self.process = context.Process(target=serve, args=arguments)
        self.process.start()
        theirs.close()  # now the pipe closes when the worker dies

    def receive(self) -> dict[str, Any]:
        try:
            if self.connection.poll(self.timeout):
                return self.connection.recv()
            return {"error": f"no answer within {self.timeout} s"}
        except (EOFError, ConnectionError):
            return {"error": self.last_words()}

    def first_report(self) -> dict[str, Any]:
        with PeakMemory(self.process.pid) as peak:
            report = self.receive()
        return report | {"samples_ms": [], "preemptions": 0, "peak_all_bytes": peak.bytes}

    def turn(self) -> dict[str, Any]:
        time.sleep(SETTLE_SECONDS)
        with contextlib.suppress(ConnectionError):  # a dead worker: receive says why
            self.connection.send("turn")
        return self.receive()

    def last_words(self) -> str:
        self.process.join()
        log = (self.folder / "log").read_text(errors="replace") if self.folder.exists() else ""
        said = log.strip().splitlines()[-1:] or ["nothing logged"]
        return f"exit code {self.process.exitcode}: {said[0]}"

    def stop(self) -> None:
        self.connection.close()
        self.process.join(EXIT_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def compare(folder: Path, expected_folder: Path) -> float | None:
    """None where one of the two has no results."""
    files = [place / "results.pt" for place in (folder, expected_folder)]
    if not all(file.exists() for file in files):
        return None
    actual, expected = (torch.load(file) for file in files)
    if [a.shape for a in actual] != [e.shape for e in expected]:
        return math.inf
    pairs = zip(actual, expected, strict=True)
    differences = torch.stack([(a.double() - e.double()).abs().max() for a, e in pairs])
    largest = max(e.abs().max().item() for e in expected)
    return differences.max().item() / (largest or 1.0)


def reference(options: argparse.Namespace, folder: Path, name: str) -> None:
    worker = Worker(options, folder, "eager", name, "f64")
    worker.receive()
    worker.stop()


def measure(options: argparse.Namespace, folder: Path, name: str, dtype: str) -> dict[str, Any]:
    """All backends of one workload and dtype."""
    workers: dict[str, Worker] = {}
    rows: dict[str, dict[str, Any]] = {}
    try:
        for backend in options.backends:
            workers[backend] = Worker(options, folder / backend, backend, name, dtype)
            rows[backend] = workers[backend].first_report()
        if dtype == "f32":
            reference(options, folder / "f64", name)
        for backend, row in rows.items():
            row["error_vs_eager"] = compare(folder / backend, folder / "eager")
            row["error_vs_f64"] = compare(folder / backend, folder / "f64")
        for _ in range(options.repeat):
            take_turns(workers, rows)
    finally:
        for worker in workers.values():
            worker.stop()
    for row in rows.values():
        row["ms"] = None if "error" in row else statistics.median(row["samples_ms"])
    return {"workload": name, "kind": WORKLOADS[name].kind, "dtype": dtype, "backends": rows}


def take_turns(workers: dict[str, Worker], rows: dict[str, dict[str, Any]]) -> None:
    for backend, row in rows.items():
        if "error" in row:
            continue
        reply = workers[backend].turn()
        if "seconds" in reply:
            row["samples_ms"].append(reply.pop("seconds") * 1e3)
            row["preemptions"] += reply.pop("preemptions")
        row.update(reply)


def compared(options: argparse.Namespace) -> list[str]:
    """The backends whose times are divided by Buddy's."""
    return [b for b in options.backends if b != "buddy" and "buddy" in options.backends]


def ratio(result: dict[str, Any], backend: str) -> float | None:
    """How many times Buddy's time `backend` takes: the median over the turns."""
    rows = [result["backends"].get(who, {}) for who in (backend, "buddy")]
    if any(row.get("ms") is None for row in rows):
        return None
    other, buddy = (row["samples_ms"] for row in rows)
    return statistics.median(a / b for a, b in zip(other, buddy, strict=True))


def geometric_means(results: list[dict[str, Any]], others: list[str]) -> list[dict[str, Any]]:
    """Of each kind and dtype, over the workloads that ran under both backends."""
    means = []
    for kind, dtype in dict.fromkeys((r["kind"], r["dtype"]) for r in results):
        group = [r for r in results if (r["kind"], r["dtype"]) == (kind, dtype)]
        for other in others:
            ratios = [r["ratios"][other] for r in group if r["ratios"][other]]
            if ratios:
                row = {"kind": kind, "dtype": dtype, "ratio": f"{other}/buddy"}
                mean = statistics.geometric_mean(ratios)
                means.append(row | {"geometric_mean": mean, "workloads": len(ratios)})
    return means


def text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


TEXT = {"workload", "dtype", "backend", "kind", "ratio"}  # columns of words


def show(console: Console, title: str, headings: list[str], rows: list[list[str]]) -> None:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in TEXT else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_all(console: Console, options: argparse.Namespace, report: dict[str, Any]) -> None:
    others = compared(options)
    speed, rest, failures = [], [], []
    for result in report["results"]:
        head = [result["workload"], result["dtype"]]
        times = [text(row["ms"], ".3f") for row in result["backends"].values()]
        speed.append(head + times + [text(result["ratios"][other], ".2f") for other in others])
        for name, row in result["backends"].items():
            errors = [text(row.get(f), ".1e") for f in ("error_vs_eager", "error_vs_f64")]
            memory = [
                text(row[f] / 1e6 if f in row else None, ".0f")
                for f in ("peak_rss_bytes", "peak_all_bytes")
            ]
            tail = [text(row.get(f), "d") for f in ("nodes_fallback", "preemptions")]
            figures = [text(row.get("compile_s"), ".1f"), *errors, *memory, *tail]
            rest.append([*head, name, *figures])
            if "error" in row:
                failures.append(f"{' '.join(head)} {name}: {row['error']}")
    title = f"{options.threads} threads, median of {options.repeat}"
    headings = [f"{name}\nms" for name in options.backends] + [f"{o}\n/ buddy" for o in others]
    show(console, title, ["workload", "dtype", *headings], speed)
    headings = ["compile\ns", "error\nvs eager", "error\nvs f64", "peak\nMB", "all\nMB"]
    headings += ["fallbacks", "preemptions"]
    show(console, "compilation", ["workload", "dtype", "backend", *headings], rest)
    means = [
        [m["kind"], m["dtype"], m["ratio"], f"{m['geometric_mean']:.2f}", str(m["workloads"])]
        for m in report["geometric_means"]
    ]
    headings = ["kind", "dtype", "ratio", "geometric mean", "workloads"]
    show(console, "geometric means", headings, means)
    for failure in failures:
        console.print(failure, style="red", markup=False, highlight=False)


def run(console: Console, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = {"threads": options.threads, "repeat": options.repeat}
    report |= {"torch": torch.__version__, "results": []}
    others = compared(options)
    for name in options.workloads:
        for dtype in options.dtypes:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                result = measure(options, Path(place), name, dtype)
            result["ratios"] = {other: ratio(result, other) for other in others}
            report["results"].append(result)
            report["geometric_means"] = geometric_means(report["results"], others)
            rows = result["backends"].items()
            said = ", ".join(f"{b} {row.get('error') or text(row['ms'], '.3f')}" for b, row in rows)
            console.print(f"{name} {dtype}: {said}", markup=False, highlight=False)
            if options.json:  # after each workload: a run of all takes hours
                options.json.write_text(json.dumps(report, indent=2))
    return report


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = "names, or patterns such as 'gemm-*'"
    parser.add_argument("--workloads", nargs="+", metavar="NAME", default=["*"], help=names)
    parser.add_argument("--list", action="store_true", help="print the workloads and stop")
    parser.add_argument("--dtypes", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    parser.add_argument(
        "--backends",
        nargs="+",
        choices=BACKENDS,
        default=[name for name in BACKENDS if name not in LIMITED],
    )
    parser.add_argument("--repeat", type=int, default=15, help="turns of each backend")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=600, help="seconds per answer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where else to write the report")
    options = parser.parse_args()
    for pattern in options.workloads:
        if not fnmatch.filter(WORKLOADS, pattern):
            parser.error(f"no workload is named {pattern}; --list prints them")
    chosen = (fnmatch.filter(WORKLOADS, pattern) for pattern in options.workloads)
    options.workloads = list(dict.fromkeys(name for names in chosen for name in names))
    return options


def main() -> None:
    options = parse_options()
    if options.list:
        print(*options.workloads, sep="\n")
        return
    os.environ.update(SPIN | KEEP_MEMORY | {"OMP_NUM_THREADS": str(options.threads)})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # through the clean-up
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    with tempfile.TemporaryDirectory() as folder:
        report = run(console, options, Path(folder))
    show_all(console, options, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
