# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`options={"autotune": True}`: right in every schedule, measured once, without a trace."""

from __future__ import annotations

import buddy
import pytest
import torch
from buddy import autotune, driver
from checking import assert_same
from torch import nn


def tuned(function, **options):
    return torch.compile(function, backend="buddy", options={"autotune": True, **options})


@pytest.fixture
def faster(monkeypatch):
    """`faster(schedule)`: as if all kernels were, in this one."""

    def pretend(schedule: str) -> None:
        monkeypatch.setattr(autotune, "SCHEDULES", (schedule,))
        monkeypatch.setattr(autotune, "NEGLIGIBLE", 0.0)
        monkeypatch.setattr(autotune, "_ratios", lambda times, _: dict.fromkeys(times, 0.5))

    return pretend


class Mixed(nn.Module):
    """Products of few, many and a dynamic number of rows, convolutions, rows of several passes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 40, 3, padding=1)
        self.groups = nn.Conv2d(40, 48, 3, groups=4, stride=2)
        self.linear = nn.Linear(48, 136)
        self.norm = nn.LayerNorm(136)

    def forward(self, image, rows):
        features = self.groups(torch.relu(self.stem(image))).flatten(2).mT
        hidden = self.norm(nn.functional.gelu(self.linear(features)))
        scores = torch.softmax(hidden @ hidden.mT, -1) @ hidden
        return scores, self.linear(rows), self.linear(rows[:1]), rows.sum(0), rows.t() + 1


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 4e-2)])
@pytest.mark.parametrize("schedule", autotune.SCHEDULES)
def test_every_schedule_is_right(schedule, dtype, tolerance, faster, monkeypatch):
    faster(schedule)
    compiled, chosen = driver.compiled_module, []

    def spy(*arguments, schedules, **options):
        chosen.append(schedules)
        return compiled(*arguments, schedules=schedules, **options)

    monkeypatch.setattr(driver, "compiled_module", spy)
    model = Mixed().to(dtype)
    step = tuned(model, cache=False)
    with torch.no_grad():
        for count in (450, 70):
            inputs = torch.randn(1, 3, 45, 41).to(dtype), torch.randn(count, 48).to(dtype)
            torch._dynamo.mark_dynamic(inputs[1], 0)
            assert_same(step(*inputs), model(*inputs), (tolerance, tolerance))
    untuned, alike, own = chosen
    assert untuned == () and alike == (schedule,)
    assert len(own) > 5 and all(choice.endswith(f"={schedule}") for choice in own)


def test_measured_once(faster):
    faster("high")
    x = torch.randn(64, 96)
    for calls in range(3):
        torch._dynamo.reset()
        buddy.reset()
        assert_same(tuned(lambda x: torch.softmax(x, -1))(x), torch.softmax(x, -1), (1e-5, 1e-5))
        stats = buddy.stats()
        assert ("autotune" in stats["seconds"]) == (calls == 0)
        assert calls == 0 or stats["cache_misses"] == 0


def test_what_is_no_faster_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(autotune, "_ratios", lambda times, _: dict.fromkeys(times, 1.0))
    x = torch.randn(64, 96)
    with torch.no_grad():
        torch.compile(torch.exp, backend="buddy")(x)
        torch._dynamo.reset()
        buddy.reset()
        tuned(torch.exp)(x)
    assert buddy.stats()["cache_hits"] == 1  # the library that the model has


@pytest.mark.filterwarnings("ignore:.*runs eagerly:RuntimeWarning")
def test_nothing_is_written_or_drawn_twice():
    def step(x, state):
        state.add_(1)
        x[::2] *= 3
        return x * state + torch.rand(9, 8), torch.nn.functional.dropout(x, 0.5)

    def arguments():
        return torch.ones(9, 16)[:, ::2], torch.zeros(8)

    results = []
    for function in (tuned(step, cache=False), step):
        inputs = arguments()
        torch.manual_seed(5)
        with torch.no_grad():
            results.append([*function(*inputs), *function(*inputs), *inputs, torch.rand(2)])
    assert_same(*results)
