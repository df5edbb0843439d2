# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What random programs have found, each cut down to the lines that matter."""

from __future__ import annotations

import torch
from comparison import check_calls


def numbers(*shape: int) -> torch.Tensor:
    return torch.arange(float(torch.Size(shape).numel())).view(shape)


def test_outputs_that_are_views_share_memory_and_have_its_strides():
    def program(a):
        b = a * 2
        return [b, b.t(), b[1:], b[:, ::2], b.expand(2, 3, 4), b.detach(), b.view(-1)[5:]]

    check_calls(program, lambda call: [numbers(3, 4)])


def test_views_of_what_is_not_an_output_itself():
    def program(a):
        b = a * 2
        return [b.t()[1:], b.unfold(1, 2, 1), (a + 1).unsqueeze(0)[..., ::3]]

    check_calls(program, lambda call: [numbers(3, 4)])
    check_calls(program, lambda call: [numbers(4, 3).t()])


def test_views_of_dynamic_sizes():
    def program(a):
        b = a * 2
        return [b.t(), b[1:, ::2], b.view(-1)[2:]]

    def arguments(call):
        a = numbers(3 + call, 4 + 2 * call)
        torch._dynamo.maybe_mark_dynamic(a, 0)
        torch._dynamo.maybe_mark_dynamic(a, 1)
        return [a]

    check_calls(program, arguments, 3)


def test_equal_outputs_with_memory_of_their_own():
    def program(a, b):
        a.add_(1)
        c = b * 2
        b.copy_(c)
        return [a.clone(), c, c.clone(), torch.zeros(3), torch.zeros(3)]

    check_calls(program, lambda call: [numbers(3, 4), numbers(3, 4)])


def test_arguments_that_change_places():
    def program(a, b, c):
        old = a.clone()
        a.copy_(b)
        b.copy_(c)
        c.copy_(old)
        return [old]

    check_calls(program, lambda call: [numbers(2, 3), -numbers(2, 3), 1 + numbers(2, 3)])
