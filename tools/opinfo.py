# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How much of PyTorch compiles, and is right: its own OpInfo database through Buddy.

    python tools/opinfo.py                         # every op, native and with fallback
    python tools/opinfo.py --ops 'index*' softmax --mode native
    python tools/opinfo.py --again wrong crash     # what failed last time
    python tools/opinfo.py --backward              # gradients too

Ops run in worker processes: one that dies or does not answer in time is a crash of that op. The
results go to a JSON file after every op; a later run adds to it.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import multiprocessing
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from opinfo_worker import MODES, STATUSES, Request, op_table, serve

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """A process that answers one request at a time; started again after it died."""

    def __init__(self, threads: int):
        self.threads = threads
        self.process = None

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.threads), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.recv()

    def ask(self, request: Request, seconds: float) -> dict[str, Any]:
        if self.process is None:
            self.start()
        self.pipe.send(request)
        try:
            if self.pipe.poll(seconds):
                return self.pipe.recv()
            problem = f"no answer in {seconds:g} seconds"
        except EOFError:
            self.process.join()
            problem = f"the process died: exit code {self.process.exitcode}"
        self.stop()
        lost = {"status": "crash", "samples": {"crash": 1}, "detail": problem}
        return {"dtype": request.dtype, "modes": {mode: lost for mode in request.modes}}

    def stop(self, seconds: float = 0) -> None:
        """Let the process end by itself for some seconds, which an idle one does at once."""
        if self.process is not None:
            self.pipe.close()
            self.process.join(seconds)
            self.process.kill()
            self.process.join()
            self.process = None


class Results:
    """The file of records, one an op."""

    def __init__(self, path: Path):
        self.path = path
        self.ops: dict[str, Any] = json.loads(path.read_text())["ops"] if path.exists() else {}

    def add(self, op: str, record: dict[str, Any]) -> None:
        modes = self.ops.get(op, {}).get("modes", {}) | record["modes"]
        self.ops[op] = record | {"modes": modes}
        text = json.dumps({"ops": dict(sorted(self.ops.items()))}, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text + "\n")
        temporary.replace(self.path)

    def has_status(self, op: str, statuses: list[str], modes: list[str]) -> bool:
        known = self.ops.get(op, {}).get("modes", {})
        return any(known.get(mode, {}).get("status") in statuses for mode in modes)


def run(names: list[str], arguments: argparse.Namespace, results: Results) -> None:
    """Ask the workers for every op in `names`."""
    queue, lock = list(reversed(names)), threading.Lock()

    def work() -> None:
        worker = Worker(arguments.threads)
        while True:
            with lock:
                if not queue:
                    break
                name = queue.pop()
            request = Request(
                name, arguments.dtype, arguments.modes, arguments.samples, arguments.backward
            )
            record = worker.ask(request, arguments.seconds)
            with lock:
                results.add(name, record)
                shown = {m: o["status"] for m, o in record["modes"].items()}
                print(f"[{len(names) - len(queue)}/{len(names)}] {name}: {shown}", file=sys.stderr)
        worker.stop(seconds=30)

    threads = [threading.Thread(target=work) for _ in range(arguments.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def print_table(results: Results, names: list[str], modes: list[str], everything: bool) -> None:
    """A line for every op that does not pass, then the totals by op and by sample."""
    width = max(map(len, names), default=0)
    totals = {mode: Counter() for mode in modes}
    samples = {mode: Counter() for mode in modes}
    for name in names:
        known = results.ops.get(name, {}).get("modes", {})
        statuses = [known.get(mode, {}).get("status", "-") for mode in modes]
        for mode, status in zip(modes, statuses):
            totals[mode][status] += 1
            samples[mode].update(known.get(mode, {}).get("samples", {}))
        if everything or not set(statuses) <= {"pass", "skipped"}:
            reason = next((_reason(known[m]) for m in modes if _reason(known.get(m, {}))), "")
            print(f"{name:{width}}  {'  '.join(f'{s:11}' for s in statuses)}  {reason[:100]}")
    for mode in modes:
        tried = sum(totals[mode][s] for s in STATUSES)
        share = 100 * totals[mode]["pass"] / max(tried, 1)
        counts = ", ".join(f"{totals[mode][s]} {s}" for s in STATUSES)
        print(f"{mode}: {share:.1f} % of {tried} ops pass: {counts}; samples: "
              + ", ".join(f"{samples[mode][s]} {s}" for s in STATUSES))  # fmt: skip


def _reason(outcome: dict[str, Any]) -> str:
    if outcome.get("unsupported"):
        return "; ".join(outcome["unsupported"])
    return " ".join(outcome.get("detail", "").split())


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ops", nargs="+", default=["*"], help="names or patterns of ops")
    parser.add_argument("--dtype", help="instead of float32 or else the first supported one")
    parser.add_argument("--mode", choices=[*MODES, "both"], default="both")
    parser.add_argument("--backward", action="store_true", help="compare gradients as well")
    parser.add_argument("--samples", type=int, default=3, help="samples of each op")
    parser.add_argument("--seconds", type=float, default=600, help="limit of one op")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="worker processes")
    parser.add_argument("--threads", type=int, default=1, help="threads of eager torch")
    parser.add_argument("--out", type=Path, help="results (default: build/opinfo[-DTYPE].json)")
    parser.add_argument("--resume", action="store_true", help="only ops without a result")
    parser.add_argument("--again", nargs="+", choices=STATUSES, help="only ops with this status")
    parser.add_argument("--report", action="store_true", help="print the table, run nothing")
    parser.add_argument("--all", action="store_true", help="list passing ops too")
    chosen = parser.parse_args(arguments)
    chosen.modes = list(MODES) if chosen.mode == "both" else [chosen.mode]
    suffix = ("-" + chosen.dtype if chosen.dtype else "") + "-backward" * chosen.backward
    chosen.out = chosen.out or ROOT / "build" / f"opinfo{suffix}.json"
    return chosen


def main() -> int:
    arguments = parse()
    results = Results(arguments.out)
    names = sorted(n for n in op_table() if any(fnmatch.fnmatch(n, p) for p in arguments.ops))
    todo = [] if arguments.report else names
    if arguments.resume:
        todo = [n for n in todo if n not in results.ops]
    if arguments.again:
        todo = [n for n in todo if results.has_status(n, arguments.again, arguments.modes)]
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    run(todo, arguments, results)
    print_table(results, names, arguments.modes, arguments.all)
    bad = any(results.has_status(n, ["wrong", "crash"], arguments.modes) for n in names)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
