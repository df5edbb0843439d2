# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A short campaign, the same programs each time."""

from __future__ import annotations

import campaign
import pytest
from worker import Worker

FIRST = 13_000_064
PROGRAMS = 24


@pytest.mark.slow
def test_random_programs_answer_as_eager_does():
    numbers = range(FIRST, FIRST + PROGRAMS)
    drawn = {number: campaign.program_of(number) for number in numbers}
    with Worker() as worker:
        verdicts = campaign.judge_round(drawn, worker)
    found = [campaign.Finding(drawn[n], v, n) for n, v in verdicts.items() if v.is_finding]
    assert not found, "\n".join(finding.as_test() for finding in found)


def test_a_wrong_answer_is_noticed():
    import comparison
    import torch

    program = campaign.program_of(FIRST)
    wrong = program.function()
    with pytest.raises(comparison.Mismatch):
        comparison.check_program(program, lambda *inputs: [torch.ones(3) for _ in wrong(*inputs)])
