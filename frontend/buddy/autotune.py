# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Autotuning: at its first call a compiled graph tries other tiles for each of its kernels.

The compiler's machine model chooses all tiles; a schedule is what it might have chosen as well
(midend's Schedule.cpp). The graph is compiled in each of them, with all kernels alike, and runs
turn by turn with the model's, on that call's arguments. A kernel keeps the schedule that was
fastest; what was chosen stays in the disk cache.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import cache as disk_cache
from .counters import stage
from .executable import Launcher

log = logging.getLogger(__name__)

SCHEDULES = ("low", "high", "narrow", "wide", "rows-outermost")
SECONDS, FEWEST_TURNS, MOST_TURNS = 0.3, 5, 100  # of a schedule against the model's
WORTHWHILE = 0.97  # of the model's time: what is less of a gain may be chance
NEGLIGIBLE = 1e-5  # seconds of a call that are no kernel worth a choice


class Tuned:
    """A graph that is compiled with schedules of its own at its first call.

    `compiled(choices, timed)` is the graph with `choices` ("kernel=schedule", or a schedule for all
    kernels), from a library whose kernels can be timed or from the cache. `name` is that of the
    graph's choices in the cache, None if they are not to be stored.
    """

    def __init__(self, compiled: Callable[[Sequence[str], bool], Launcher], name: str | None):
        self.compiled: Callable | None = compiled
        self.name = name
        self.launch: Launcher | None = None
        self.lock = threading.Lock()

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        launch = self.launch or self._tuned(args)
        return launch(args)

    def _tuned(self, args: Sequence[Any]) -> Launcher:
        with self.lock:
            if self.launch is None:
                self.launch = self.compiled(self._choices(args), False)
                self.compiled = None  # and with it the graph
            return self.launch

    def _choices(self, args: Sequence[Any]) -> list[str]:
        def build(directory: Path) -> Path:
            with stage("autotune"):
                choices = self._measure(args)
            path = directory / "choices.json"
            path.write_text(json.dumps(choices))
            return path

        if self.name is None:
            stored = disk_cache.temporary_build(build)
        else:
            stored = disk_cache.get_or_build(self.name, build)
        with stored as found:
            path = found if isinstance(found, Path) else found[0]
            return json.loads(path.read_text())

    def _measure(self, args: Sequence[Any]) -> list[str]:
        model = self.compiled((), True)
        best: dict[str, tuple[float, str]] = {}
        for schedule in SCHEDULES:
            began = time.perf_counter()
            other = self.compiled((schedule,), True)
            for kernel, ratio in _race(model, other, args).items():
                if ratio < best.get(kernel, (WORTHWHILE, ""))[0]:
                    best[kernel] = ratio, schedule
            log.info("autotune: %s tried in %.1f s", schedule, time.perf_counter() - began)
        for kernel, (ratio, schedule) in best.items():
            log.info("autotune: %s %s: %.2f of the time", kernel, schedule, ratio)
        return [f"{kernel}={schedule}" for kernel, (_, schedule) in best.items()]


def _race(model: Launcher, other: Launcher, args: Sequence[Any]) -> dict[str, float]:
    """By kernel the time in `other` ÷ that in `model`, of the fastest run of each."""
    for launch in (model, other):
        launch.executable.time_kernels()
    deadline = time.perf_counter() + SECONDS
    turns = 0
    while turns < FEWEST_TURNS or (turns < MOST_TURNS and time.perf_counter() < deadline):
        for launch in (model, other):
            launch(_own(launch, args))
        turns += 1
    before, after = (launch.executable.time_kernels() for launch in (model, other))
    return _ratios(before, after)


def _ratios(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {k: after[k] / t for k, t in before.items() if t > NEGLIGIBLE and k in after}


def _own(launch: Launcher, args: Sequence[Any]) -> list[Any]:
    """The arguments, with copies of what a call writes to: it may do so only once."""
    own = list(args)
    for position, _, mutable, _ in launch.tensors:
        if mutable:
            x = args[position]
            own[position] = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype).copy_(x)
    return own
