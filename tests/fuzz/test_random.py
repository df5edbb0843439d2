# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A short campaign, the same programs each time."""

from __future__ import annotations

from types import SimpleNamespace

import campaign
import comparison
import pytest
import torch
from captured import compiled
from drawing import programs
from hypothesis import HealthCheck, given, settings
from programs import Capture, Input, Program, Step
from reference import TRUNCATED, Latitude, Observed
from tally import Tally
from worker import Worker

FIRST = 13_000_064
PROGRAMS = 24


@pytest.fixture(scope="module")
def worker():
    with Worker() as started:
        yield started


@pytest.mark.slow
def test_random_programs_answer_as_eager_does(worker):
    numbers = range(FIRST, FIRST + PROGRAMS)
    drawn = {number: campaign.program_of(number) for number in numbers}
    verdicts = campaign.judge_round(drawn, worker)
    found = [campaign.Finding(drawn[n], v, n) for n, v in verdicts.items() if v.is_finding]
    assert not found, "\n".join(finding.as_test() for finding in found)


@pytest.mark.slow
@settings(max_examples=8, derandomize=True, database=None, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(program=programs)
def test_programs_of_hypothesis_answer_as_eager_does(worker, program):
    verdict = campaign.judge_round({0: program}, worker)[0]
    assert not verdict.is_finding, campaign.Finding(program, verdict, 0).as_test()


def test_a_wrong_answer_is_noticed():
    program = campaign.program_of(FIRST)
    wrong = program.function()
    with pytest.raises(comparison.Mismatch):
        comparison.check_program(program, lambda *inputs: [torch.ones(3) for _ in wrong(*inputs)])


def test_every_difference_is_told():
    """What PyTorch alone gets wrong as well must not hide the rest."""
    ones = torch.ones(2, 3)
    actual = Observed([ones.t().contiguous().t(), ones + 1], [ones])
    expected = Observed([ones, ones], [ones])
    program = SimpleNamespace(capture=Capture.AUTOGRAD)
    reference = SimpleNamespace(program=program, observed=expected, free=[Latitude.EXACT] * 3)
    found = comparison.differences(reference, actual)
    assert set(found) == {"strides of output 0", "values of output 1", "aliases of output 0",
                          "aliases of output 1"}  # fmt: skip


@pytest.mark.parametrize("actual, eager, same", [(0.0, 1e-40, True), (-0.0, 1e-40, False),
                                                 (1e-40, 0.0, False), (2e-40, 1e-40, False)])  # fmt: skip
def test_zero_for_a_subnormal_bf16_but_nothing_else(actual, eager, same):
    a, b = torch.tensor([actual]).bfloat16(), torch.tensor([eager]).bfloat16()
    program = SimpleNamespace(capture=Capture.AUTOGRAD)
    reference = SimpleNamespace(program=program, observed=Observed([b], []), free=[Latitude.EXACT])
    assert (not comparison.differences(reference, Observed([a], []))) == same


def step(template: str, *operands: int) -> Step:
    return Step(template, template.replace("<dim>", "1"), operands)


def truncated(dtype: torch.dtype) -> Program:
    steps = step("torch.mul({0}, {1})", 0, 0), step(TRUNCATED, 0, 1)
    return Program((Input((3000,), dtype),), steps, (2,), capture=Capture.GRAPH)


def product() -> Program:
    steps = step("torch.exp({0})", 0), step("{0}.prod(<dim>)", 1), step("torch.sigmoid({0})", 2)
    inputs = (Input((600, 17), torch.int8, values="large"),)
    return Program(inputs, steps, (3,), capture=Capture.GRAPH)


def norm() -> Program:
    steps = (step("torch.nn.functional.layer_norm({0}, {0}.shape[-1:])", 0),
             Step("torch.clamp({0}, <whole>, <whole>)", "torch.clamp({0}, 2, 3)", (1,)))  # fmt: skip
    numbers = Input((300, 1), torch.float32, ".expand((300, 9))", values="special")
    return Program((numbers,), steps, (2,), capture=Capture.GRAPH)


def tail() -> Program:
    numbers = Input((100000,), torch.float64)
    steps = (step("torch.nn.functional.gelu({0})", 0),)
    return Program((numbers,), steps, (1,), capture=Capture.GRAPH)


@pytest.mark.parametrize(
    "program",
    [truncated(torch.bfloat16), truncated(torch.float16), product(), norm(), tail()],
    ids=["bf16 quotient", "f16 quotient", "infinity times zero", "overflowing mean", "gelu"],
)
def test_what_a_compiler_is_free_to_do(program):
    """Round a quotient before it is truncated, as eager does, though its divisor is not rounded;
    multiply in an order in which infinity meets zero; compute a mean by a sum that overflows;
    be off in the last place where much of GELU's erf is taken away."""
    comparison.check_program(program, compiled([program], ours=True))


def test_a_tally_adds_up(tmp_path):
    path = tmp_path / "tally.json"
    Tally(path, "one").add(3, 0, 60, {"ok": 59, "upstream": 1})
    Tally(path, "one").add(3, 2, 64, {"ok": 64})
    other = Tally(path, "two")
    other.add(4, 0, 10, {"ok": 10})
    assert other.rounds(3) == {0, 2} and other.rounds(4) == {0}
    assert (other.graphs(3), other.graphs()) == (124, 134)
    assert str(other).endswith("in all: 134 graphs, {'ok': 133, 'upstream': 1}")
