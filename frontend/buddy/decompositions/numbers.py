# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Binary ops of a number and a tensor: those of two tensors, one of them of rank 0."""

from __future__ import annotations

import torch
from torch._ops import OpOverload

from .registry import decomposes

aten = torch.ops.aten

NUMBER_FIRST = {
    aten.bitwise_and.Scalar_Tensor: aten.bitwise_and.Tensor,
    aten.bitwise_left_shift.Scalar_Tensor: aten.bitwise_left_shift.Tensor,
    aten.bitwise_or.Scalar_Tensor: aten.bitwise_or.Tensor,
    aten.bitwise_right_shift.Scalar_Tensor: aten.bitwise_right_shift.Tensor,
    aten.bitwise_xor.Scalar_Tensor: aten.bitwise_xor.Tensor,
    aten.remainder.Scalar_Tensor: aten.remainder.Tensor,
}
NUMBER_LAST = {
    aten.bitwise_left_shift.Tensor_Scalar: aten.bitwise_left_shift.Tensor,
    aten.bitwise_right_shift.Tensor_Scalar: aten.bitwise_right_shift.Tensor,
    aten.copysign.Scalar: aten.copysign.Tensor,
}


def _tensor(number, other):
    """The number in the dtype of the result: the number's own would count for more than it."""
    dtype = torch.result_type(number, other)
    return torch.full((), number, dtype=dtype, device=other.device)


def _register(op: OpOverload, of_tensors: OpOverload, number_first: bool) -> None:
    @decomposes(op)
    def decomposed(first, second):
        if number_first:
            return of_tensors(_tensor(first, second), second)
        return of_tensors(first, _tensor(second, first))


for _op, _of_tensors in NUMBER_FIRST.items():
    _register(_op, _of_tensors, True)
for _op, _of_tensors in NUMBER_LAST.items():
    _register(_op, _of_tensors, False)
