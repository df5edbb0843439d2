# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Memory of a process and of all that it starts: compilers run in processes of their own."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

SECONDS_BETWEEN = 0.1


class PeakMemory:
    """The most that process `root` and its descendants have together while the block runs.

    Pages that several processes have count once, whoever else has them: what each has for itself is
    added up, and the most that one of them shares.
    """

    def __init__(self, root: int):
        self.root, self.bytes = root, 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.done.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.done.wait(SECONDS_BETWEEN):
            private, shared = zip(*map(pages_of, family(self.root)))
            self.bytes = max(self.bytes, sum(private) + max(shared))


def family(root: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int(place.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(place.parent.name))
    members = [root]
    for member in members:  # which grows
        members += children.get(member, [])
    return members


def pages_of(process: int) -> tuple[int, int]:
    """Bytes that it has for itself, and that others have too; none of a process that has ended."""
    sums = {"Private": 0, "Shared": 0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            kind = line.partition("_")[0]
            if kind in sums and line.split(":")[0].endswith(("_Clean", "_Dirty")):
                sums[kind] += int(line.split()[1]) * 1024
    return sums["Private"], sums["Shared"]
