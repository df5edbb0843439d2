# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The `<arguments>` of op rows: Python text from a few drawn integers.

Each function gets the op's first operand and `number(low, high)`, which gives one more integer of
the step's own, least ones first where Hypothesis shrinks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch

Number = Callable[[int, int], int]

NUMBERS = ("1", "2", "-1", "0", "0.5", "3", "-2.5", "1e-3", "100", "True", "float('inf')")
NONZERO = ("2", "1", "-3", "0.5", "-0.25", "7")
FLOATS = ("torch.float32", "torch.float64", "torch.bfloat16", "torch.float16")
INTEGERS = ("torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8")


def _choice(options) -> Callable[[torch.Tensor, Number], str]:
    return lambda x, number: options[number(0, len(options) - 1)]


def _dim(x: torch.Tensor, number: Number) -> str:
    """A dimension counted from the front, or from the back."""
    dim = number(0, 2 * x.dim() - 1)
    return str(dim if dim < x.dim() else dim - 2 * x.dim())


def _dims(x: torch.Tensor, number: Number) -> str:
    chosen = [d for d in range(x.dim()) if number(0, 1)]
    return str(tuple(chosen or [0]))


def _permutation(x: torch.Tensor, number: Number) -> str:
    left, order = list(range(x.dim())), []
    while left:
        order.append(left.pop(number(0, len(left) - 1)))
    return str(tuple(order))


def _slice(x: torch.Tensor, number: Number) -> str:
    """A slice of the first or the last dimension, sometimes by more than one element."""
    start, stop = ("", "1", "-2", "2")[number(0, 3)], ("", "-1", "5", "0")[number(0, 3)]
    step = ("", ":2", ":3")[number(0, 2)]
    return ("", "..., ")[number(0, 1)] + f"{start}:{stop}{step}"


def _factors(x: torch.Tensor, number: Number) -> str:
    """A shape of as many elements: the product split at a divisor, perhaps with a 1."""
    count = x.numel()
    divisors = [d for d in range(1, min(count, 64) + 1) if count % d == 0] or [1]
    first = divisors[number(0, len(divisors) - 1)]
    return str(((first, -1), (-1, first), (first, 1, -1))[number(0, 2)])


def _expanded(x: torch.Tensor, number: Number) -> str:
    """The shape with every 1 as something else, and perhaps one dimension more."""
    shape = [number(1, 4) if d == 1 else -1 for d in x.shape]
    return str(tuple([number(1, 3)] * number(0, 1) + shape))


ARGUMENTS: dict[str, Callable[[torch.Tensor, Number], str]] = {
    "dim": _dim,
    "dims": _dims,
    "permutation": _permutation,
    "slice": _slice,
    "factors": _factors,
    "expanded": _expanded,
    "repeats": lambda x, number: str(tuple(number(1, 3) for _ in range(max(x.dim(), 1)))),
    "flag": _choice(("False", "True")),
    "whole": _choice(("1", "2", "-1", "0", "-3")),
    "positive": _choice(("1", "2", "3")),
    "number": _choice(NUMBERS),
    "nonzero": _choice(NONZERO),
    "float": _choice(FLOATS),
    "dtype": _choice((*FLOATS, *INTEGERS, "torch.bool")),
}


def with_arguments(template: str, x: torch.Tensor, number: Number) -> str:
    """The template with a drawn text in place of each `<argument>`."""
    return re.sub(r"<(\w+)>", lambda m: ARGUMENTS[m[1]](x, number), template)


def is_quick(x: torch.Tensor) -> bool:
    """Whether a tensor is small enough for a program to go on with it."""
    return x.numel() <= 20_000 and x.dim() <= 5 and math.prod(x.shape[-2:]) <= 20_000
