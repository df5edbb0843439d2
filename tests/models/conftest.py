# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixtures of the architecture tests, and the table that they print at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import buddy
import pytest
import torch
import transformers
from architectures import ARCHITECTURES
from filelock import FileLock

COLUMNS = ("fallbacks", "forward", "generate", "gradients", "dynamic")
RESULTS: dict[str, dict[str, str]] = {}

transformers.logging.set_verbosity_error()


@pytest.fixture(autouse=True)
def fresh_compiler(own_cache):
    """No test sees graphs or counters of another one."""
    torch._dynamo.reset()
    buddy.reset()


@pytest.fixture
def report(request) -> Iterator[Callable[[str], None]]:
    """Sets the architecture's entry in the column named like the test; until then it failed."""
    architecture = request.getfixturevalue("architecture")
    row = RESULTS.setdefault(architecture.name, {})
    column = request.node.originalname.removeprefix("test_")
    row[column] = "FAILED"

    def note(text: str) -> None:
        row[column] = text
        row["fallbacks"] = str(max(int(row.get("fallbacks", 0)), buddy.stats()["nodes_fallback"]))

    yield note
    keep(request.config.rootpath / "build" / "architectures.json", architecture.name, column)


def keep(path: Path, name: str, column: str) -> None:
    """Put a test's entry among those of earlier runs, for tools/architectures.py."""
    if not path.parent.is_dir():
        return
    fallbacks = buddy.stats()["nodes_fallback"]
    with FileLock(path.with_suffix(".lock")):  # tests may run side by side
        known = json.loads(path.read_text()) if path.exists() else {}
        row = known.setdefault(name, {})
        row[column] = {"result": RESULTS[name][column], "fallbacks": fallbacks}
        path.write_text(json.dumps(known, indent=1))


def pytest_terminal_summary(terminalreporter):
    """One line per architecture: what was found, or "-" for what was not asked."""
    if not RESULTS:
        return
    write = terminalreporter.write_line
    terminalreporter.section("architectures")
    write(f"{'architecture':30} {'family':18}" + "".join(f"{c:>11}" for c in COLUMNS))
    for architecture in ARCHITECTURES:
        row = RESULTS.get(architecture.name)
        if row is not None:
            cells = "".join(f"{row.get(c, '-'):>11}" for c in COLUMNS)
            write(f"{architecture.name:30} {architecture.family:18}{cells}")
    for column in COLUMNS[1:]:
        entries = [row[column] for row in RESULTS.values() if column in row]
        if entries:
            write(f"{column}: {len(entries) - entries.count('FAILED')} of {len(entries)} pass")
    native = sum(row.get("fallbacks") == "0" for row in RESULTS.values())
    write(f"without fallback: {native} of {len(RESULTS)}")
