# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Write docs/coverage.md: what becomes of each Aten overload, from the registry and the runs.

Reads what `tools/opinfo.py` and the tests left in build/. `make coverage` runs those first.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from buddy.decompose import decompositions
from buddy.lowering import LOWERINGS
from buddy.types import short_name
from opinfo_worker import STATUSES

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
HEAD = """# Coverage

What becomes of each Aten overload that a captured graph may hold. `make coverage` writes this page.

- **native**: a lowering in `frontend/buddy/lowering/`; refusals of single arguments are errors or fallbacks.
- **decomposed**: taken apart into others while the graph is captured (`frontend/buddy/decompose.py`).
- **fallback**: runs eagerly between compiled parts, warned about and counted; an error with `fallback=False`.

The dtypes are those in which an op of PyTorch's OpInfo database that is compiled by way of the \
overload gave eager's answer without fallback. The test is the file in `tests/frontend/` that compares it with eager.
"""


def overloads() -> list[torch._ops.OpOverload]:
    """Aten overloads that a CPU's graph may hold: functional, not composite, on tensors."""
    found = []
    for qualified in sorted(torch._C._dispatch_get_all_op_names()):
        if not qualified.startswith("aten::") or not _is_captured(qualified):
            continue
        name, _, overload = qualified.removeprefix("aten::").partition(".")
        op = getattr(getattr(torch.ops.aten, name), overload or "default")
        if not op._schema.is_mutable and _takes_tensors(op):
            found.append(op)
    return found


def _is_captured(name: str) -> bool:
    """Whether it runs on a CPU as it is: a composite op is always traced as its parts."""
    composite = torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")
    return not composite and torch._C._dispatch_has_computed_kernel_for_dispatch_key(name, "CPU")


def _takes_tensors(op: torch._ops.OpOverload) -> bool:
    return any("Tensor" in str(a.type) for a in (*op._schema.arguments, *op._schema.returns))


def runs() -> dict[str, dict[str, Any]]:
    """The results of tools/opinfo.py, by the dtype asked for; the first has float32's."""
    found = {}
    for path in sorted(BUILD.glob("opinfo*.json")):
        found[path.stem.removeprefix("opinfo").lstrip("-") or "float32"] = json.loads(
            path.read_text()
        )["ops"]
    return found


def dtypes_by_overload(results: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Short names of the dtypes in which ops that use an overload pass natively."""
    passed = defaultdict(set)
    for run, ops in results.items():
        if run.endswith("backward"):
            continue
        for record in ops.values():
            if record["modes"].get("native", {}).get("status") == "pass":
                dtype = short_name(getattr(torch, record["dtype"]))
                for op in record.get("compiled", ()):
                    passed[op].add("bool" if dtype == "i1" else dtype)
    return passed


def tests_by_overload() -> dict[str, list[str]]:
    path = BUILD / "exercised.json"
    return json.loads(path.read_text()) if path.exists() else {}


def summary(results: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each run and mode of the OpInfo database."""
    lines = ["## PyTorch's OpInfo database", "",
             "| run | mode | ops | pass | unsupported | wrong | crash | share |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for run, ops in results.items():
        for mode in ("native", "fallback"):
            known = [r["modes"].get(mode, {}).get("status") for r in ops.values()]
            counts = [known.count(s) for s in STATUSES]
            if total := sum(counts):
                row = [run, mode, total, *counts, f"{100 * counts[0] / total:.1f} %"]
                lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


def table(native: set[str]) -> list[str]:
    """A row for each overload that is lowered or decomposed."""
    taken_apart = {str(op) for op in decompositions(training=True)}
    passed, tests = dtypes_by_overload(runs()), tests_by_overload()
    known = {str(op) for op in overloads()} | native
    lines = ["## Overloads", "", "| overload | how | dtypes | test |", "|---|---|---|---|"]
    for op in sorted(known & (native | taken_apart)):
        ways = [w for w, has in (("native", native), ("decomposed", taken_apart)) if op in has]
        dtypes = " ".join(sorted(passed.get(op, ())))
        files = " ".join(tests.get(op, ())[:2])
        lines.append(f"| {op.removeprefix('aten.')} | {', '.join(ways)} | {dtypes} | {files} |")
    rest = sorted(op.removeprefix("aten.") for op in known - native - taken_apart)
    return [*lines, "", "## Fallback", "", ", ".join(f"`{op}`" for op in rest), ""]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()  # takes none, but has a --help
    native = {str(op) for op in LOWERINGS["linalg"] if str(op).startswith("aten.")}
    text = "\n".join([HEAD, *summary(runs()), *table(native)])
    (ROOT / "docs" / "coverage.md").write_text(text)


if __name__ == "__main__":
    main()
