# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What campaigns have judged so far, so that one can stop and go on, and several add up.

A JSON file that is written after every round:
{commit: {seed: {"rounds": [number], "graphs": n, "verdicts": {kind: n}}}}.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path


def current_commit() -> str:
    """The commit of this checkout, marked where files of it are changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    folder = Path(__file__).parent
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


class Tally:
    """The file; `commit` is what rounds are added under."""

    def __init__(self, path: Path, commit: str):
        self.path = path
        self.commit = commit
        self.commits: dict = json.loads(path.read_text()) if path.exists() else {}

    def rounds(self, seed: int) -> set[int]:
        """Rounds of a seed that are done, whatever the commit: other programs find more."""
        seeds = [of.get(str(seed), {}) for of in self.commits.values()]
        return {number for entry in seeds for number in entry.get("rounds", ())}

    def graphs(self, seed: int | None = None) -> int:
        """Programs judged, of one seed or of all."""
        entries = [entry for of in self.commits.values() for entry in of.items()]
        return sum(entry["graphs"] for s, entry in entries if seed is None or s == str(seed))

    def add(self, seed: int, number: int, graphs: int, verdicts: Mapping[str, int]) -> None:
        """Add one round's result, and write the file."""
        empty = {"rounds": [], "graphs": 0, "verdicts": {}}
        entry = self.commits.setdefault(self.commit, {}).setdefault(str(seed), empty)
        entry["rounds"] = sorted([*entry["rounds"], number])
        entry["graphs"] += graphs
        entry["verdicts"] = dict(Counter(entry["verdicts"]) + Counter(verdicts))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(self.commits) + "\n")
        temporary.replace(self.path)

    def __str__(self) -> str:
        """A line for each commit and seed, and one for all."""
        lines, verdicts = [], Counter()
        for commit, seeds in self.commits.items():
            for seed, entry in seeds.items():
                lines.append(f"{commit} seed {seed}: {entry['graphs']} {entry['verdicts']}")
                verdicts += Counter(entry["verdicts"])
        return "\n".join([*lines, f"in all: {self.graphs()} graphs, {dict(verdicts)}"])
