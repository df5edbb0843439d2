# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Write docs/architectures.md from what the tests of tests/models left in build/.

`make test-models` runs those first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "models"))
from architectures import ARCHITECTURES  # noqa: E402

CHECKS = ("forward", "generate", "gradients", "dynamic")
HEAD = """# Architectures

Tiny random models of published kinds, f32, compiled and compared with eager. \
`make test-models` runs the checks of `tests/models/` and writes this page.

- **fallbacks**: nodes that ran eagerly, in the check that had most of them.
- **forward**: the largest difference from eager, as a part of the largest element; at most 1e-4.
- **generate**: greedy generation with the model's own cache gives eager's ids.
- **gradients**: the same as forward for the gradients of one training step; at most 1e-3 (from f64 where eager itself is farther from it).
- **dynamic**: graphs compiled for ten shapes, of ten pairs of batch and size. `a + b`: a for the \
first shape, b for the others, where Dynamo asks any backend for as many, because the model's own \
Python loops over a size or branches on it.

`-`: does not apply. `?`: not measured.
"""


def applies(architecture, check: str) -> bool:
    return {
        "forward": True,
        "generate": architecture.generates,
        "gradients": not architecture.no_gradients,
        "dynamic": not (architecture.fixed_batch and architecture.fixed_size),
    }[check]


def row(architecture, entries: dict) -> list[str]:
    fallbacks = [str(e["fallbacks"]) for e in entries.values()]
    most = max(fallbacks, key=int, default="?")
    cells = [
        entries.get(check, {"result": "?"})["result"] if applies(architecture, check) else "-"
        for check in CHECKS
    ]
    return [architecture.name, architecture.family, most, *cells]


def summary(rows: list[list[str]]) -> list[str]:
    """How many of those that a check applies to pass it."""
    known = [r[2] for r in rows if r[2] != "?"]
    lines = [f"Without fallback: {known.count('0')} of {len(known)} measured."]
    for column, check in enumerate(CHECKS, start=3):
        asked = [r[column] for r in rows if r[column] != "-"]
        measured = [entry for entry in asked if entry != "?"]
        passed = len(measured) - measured.count("FAILED")
        title = check.capitalize()
        lines.append(f"{title}: {passed} of {len(measured)} measured, {len(asked)} in all.")
    once = sum("+" not in r[-1] and r[-1].isdigit() for r in rows)
    return [*lines, f"No compile after the first shape: {once}."]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()  # takes none, but has a --help
    path = ROOT / "build" / "architectures.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    rows = [row(a, known.get(a.name, {})) for a in ARCHITECTURES]
    titles = ["architecture", "family", "fallbacks", *CHECKS]
    table = [titles, ["---"] * len(titles), *rows]
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    text = "\n".join([HEAD, " ".join(summary(rows)), "", *lines, ""])
    (ROOT / "docs" / "architectures.md").write_text(text)


if __name__ == "__main__":
    main()
