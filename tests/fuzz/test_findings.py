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


def test_views_of_arguments_have_their_strides():
    def program(a):
        return [a.chunk(2, 1)[0], a.t(), a[1:, ::2]]

    def arguments(call):
        a = numbers(9 + call, 16 + 2 * call).to(torch.bfloat16)
        torch._dynamo.maybe_mark_dynamic(a, 0)
        torch._dynamo.maybe_mark_dynamic(a, 1)
        return [a]

    check_calls(program, arguments, 3)


def test_padding_that_leaves_nothing_of_a_tensor():
    def program(a):
        return [torch.nn.functional.pad(a, (1, 0, -1, 2), value=2)]

    check_calls(program, lambda call: [torch.ones(1, 1, dtype=torch.int64)])


def test_a_shape_whose_size_is_right_for_a_reason_it_does_not_tell():
    def program(a):
        return [a.view(-1, 2) + 1, a.view(2, -1) * 2]

    def arguments(call):
        a = numbers(16 + 2 * call)
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 3)


def test_a_kernel_that_is_one_of_its_arguments():
    def program(a):
        b = torch.fmax(a, a)
        return [b @ a]

    check_calls(program, lambda call: [torch.full((1, 1), 3.0, dtype=torch.float16)])


def test_outputs_that_are_views_beside_ops_that_run_eagerly():
    def program(a, b):
        c = b.sigmoid_()
        return [a, c, a * 2]

    def arguments(call):
        a = numbers(17)
        return [a, a[::2]]

    check_calls(program, arguments)


def test_arguments_are_updated_after_their_last_use():
    def program(a, b):
        c = torch.bitwise_and(b, b)
        a.sub_(a)
        return [a, c.neg_(), a == float("inf")]

    def arguments(call):
        a = numbers(3, 17).to(torch.uint8)
        return [a, a[::2]]

    check_calls(program, arguments)


def test_numbers_wrap_around_as_unsigned_ones():
    def program(a):
        return [a < -3, a == -3, a // -3, a % -200, torch.clamp(a, -3, 100), torch.fmod(a, -3)]

    check_calls(program, lambda call: [torch.arange(256).to(torch.uint8)])


def test_a_row_of_narrow_numbers_that_ends_with_one_of_a_vector():
    def program(a, b):
        c = torch.bitwise_or(a, b)
        return [torch.signbit(c), c.to(torch.int16)]

    check_calls(program, lambda call: [torch.arange(33), torch.ones(1, 40, 1, dtype=torch.bool)])


def test_angles_of_zeros_known_when_compiling():
    def program(a):
        zero = a.new_zeros(3)
        return [torch.atan2(zero, zero), torch.atan2(-zero, -zero), torch.atan2(a, a)]

    check_calls(program, lambda call: [torch.zeros(3)])


def test_a_scalar_of_a_wider_dtype_does_not_widen():
    def program(a, b):
        return [a <= b, a + b, torch.maximum(a, b)]

    for dtype in (torch.int64, torch.int32):
        number = torch.tensor(-3, dtype=dtype)
        check_calls(program, lambda call, b=number: [torch.arange(256).to(torch.uint8), b])


def test_a_concatenation_of_constants():
    def program(a):
        return [torch.cat([torch.full((3,), 2.0), a]), torch.cat([a == a, torch.ones(1) > 0])]

    check_calls(program, lambda call: [numbers(4)])


def test_a_view_of_two_dynamic_sizes_that_is_read_in_place():
    def program(a):
        b = a.view(-1, 4).relu_()
        return [b, a.view(1, -1), a.reshape(2, 1, -1).count_nonzero(-2), a.sum()]

    def arguments(call):
        a = numbers(6 + 2 * call, 8 + 4 * call) - 20
        torch._dynamo.maybe_mark_dynamic(a, 0)
        torch._dynamo.maybe_mark_dynamic(a, 1)
        return [a]

    check_calls(program, arguments, 3)


def test_the_largest_of_products_minus_itself_is_zero():
    def program(a, b):
        return [torch.outer(a, b).log_softmax(1)]

    check_calls(program, lambda call: [100 * numbers(9).sin(), 100 * numbers(7).cos()])


def test_a_view_by_strides_of_what_lies_between_elements_written_to():
    def program(a):
        a[1:-1:3] = 2
        return [a, a.as_strided((2, 2), (1, 2))]

    check_calls(program, lambda call: [numbers(2, 4)[:, 1:-2]])


def test_a_slice_of_a_tensor_that_is_the_slice():
    def program(a):
        b = torch.sigmoid(a)
        b[:] = b
        return [torch.cat([b, b])]

    def arguments(call):
        a = numbers(17 + call, 3)
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 2)


def test_the_bits_of_an_output_beside_it():
    def program(a):
        b = a + 1
        return [b, b.view(torch.int32), b[1:].view(torch.int32), a.view(torch.int16)[:, 2:]]

    for dtype in (torch.float32, torch.float64):
        check_calls(program, lambda call, dtype=dtype: [numbers(3, 4).to(dtype)])


def test_two_windows_of_the_same_strides_of_dynamic_sizes():
    def program(a):
        b = a + 1
        size, strides = (2, a.shape[0]), (2 * a.shape[0], 1)
        return [b.as_strided(size, strides) * 2, b.as_strided(size, strides, 1) * 3]

    def arguments(call):
        a = numbers(3 + call, 4)
        torch._dynamo.mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 2)


def test_remainders_of_one_half_precision_by_another():
    def program(a, b):
        return [torch.fmod(a, b), torch.remainder(a, b)]

    infinity = torch.tensor(torch.inf, dtype=torch.float16)
    for size in (1, 3, 40):
        check_calls(program, lambda call, n=size: [numbers(n).bfloat16() + 660, infinity])


def test_sums_of_products_that_overflow():
    def program(a, b):
        return [(a[:, None] * b).sum(0), (a * b[0]).sum()]

    check_calls(program, lambda call: [torch.tensor([2.0, -2, -3]), torch.full((1, 3), 3e38)])


def test_writing_to_a_number_through_a_view():
    """PyTorch's graph adds the sum of the differences, which must not be rounded apart."""

    def program(a, b):
        c = b.exp_()
        d = c.neg_().expand(())
        d.add_(-1)
        d.relu_()
        return [b.add_(a.fill_(1)), b * 1]

    def arguments(call):
        return [torch.tensor(5.0).bfloat16(), torch.tensor(0.6611).half()]

    check_calls(program, arguments)


def test_half_precision_beyond_the_range_of_the_other():
    def program(a, b):
        return [a.clone().div_(b), a.clone().mul_(b), a.clone().add_(b).sub_(b)]

    def arguments(call):
        infinity = torch.tensor([torch.inf, 1.0, -1e-7, 3e4]).half()
        return [infinity, torch.tensor([3e38, 1e6, 1e9, -9e4]).bfloat16()]

    check_calls(program, arguments)


def test_a_written_copy_has_the_gaps_of_what_it_is_a_copy_of():
    def program(a, b):
        c = torch.select_scatter(a.t(), b, 1, 1)
        d = torch.slice_scatter(a, b[None], 0, 1, 2)
        return [c, c[1:, ::2], d, d.unsqueeze(1), c * 2, c]

    def arguments(call):
        a = numbers(4 + call, 9)
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a[:, 1::2], numbers(4)]

    check_calls(program, arguments, 3)


def test_rows_of_a_little_more_than_half_a_vector_of_bytes():
    """LLVM shuffled vectors of 33 bytes for ever."""

    def program(a):
        return [a + a[:, None] + -3]

    for size in (33, 40, 63):
        check_calls(program, lambda call, n=size: [torch.arange(n, dtype=torch.int8)])


def test_one_tensor_that_is_returned_twice():
    """After the graph break both names are to be the same tensor, or views of another rank meet."""

    def program(a, b):
        c = torch.stack([a, a], 1)
        d = c.unsqueeze_(0)
        d[b] = 3
        return [d.zero_(), c.split(3, 3)[-1]]

    check_calls(program, lambda call: [numbers(3, 64), torch.tensor(True)])


def test_writes_through_an_expansion_that_adds_no_element():
    """PyTorch's graph adds the difference to what was there before, which may be infinite."""

    def program(a):
        b, c, d = a + 1, a * 2, (a / 0).t()
        b.expand(b.shape).fill_(-1)
        c.expand(1, *c.shape)[:, 1:].fill_(0.1)
        d.expand(1, 1, *d.shape).copy_(c.t())
        return [b, c, d, b.to(torch.int64)]

    def arguments(call):
        a = torch.randn(5 + call, 3, generator=torch.Generator().manual_seed(call)).double()
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 3)


def test_comparisons_of_bfloat16_that_make_numbers_of_its_size():
    """LLVM made them comparisons of bf16, of which it could not select 16."""

    def program(a, b):
        return [torch.bitwise_xor(b, a >= a), (a < 1).short() + b, (a != b).bfloat16() * a]

    def arguments(call):
        a = numbers(24).bfloat16()
        a[::5] = torch.nan
        return [a, torch.arange(24, dtype=torch.int16)]

    check_calls(program, arguments)


def test_variance_of_numbers_that_are_all_the_same():
    """The sum of 64 of them divided by 64 is another number, but they vary by nothing."""

    def program(a):
        b = a.expand(-1, 63)
        return [b.var(-1) == 0, b[:, 1:].std(-1) == 0, b.var(), b.var(0, correction=0)]

    check_calls(program, lambda call: [(numbers(300, 1) + 1).double().log()], 2)


def test_a_size_that_only_a_guard_says_is_one():
    """The last of `split` has (s // 3 - 5) elements, and broadcasts."""

    def program(a):
        b = a[1:-1:3].split(1, -1)[-1]
        c = torch.logical_or(b, a)
        padded = torch.nn.functional.pad(b, (1, 0))
        squares = (b[:, None] * b).flatten()
        return [c, b * a[None] + b, b.cumsum(-1), b.expand(3, 4), padded, squares, squares + a]

    def arguments(call):
        a = numbers([17, 19, 34][call]) % 7
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 3)


def test_a_flattened_result_that_is_read_after_a_part_of_it_was_written():
    """Its copy has a size that only the caller's buffer has."""

    def program(a):
        b = a.softmax(-1)
        c = torch.outer(a.flatten()[:9], b.flatten()[:7])
        b[1:-1] = -1
        return [b, c.add_(a.argmax())]

    def arguments(call):
        a = numbers(2 + call, 4 + 2 * call).bfloat16()
        torch._dynamo.maybe_mark_dynamic(a, 0)
        return [a]

    check_calls(program, arguments, 3)
