# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`check`: a function compiled by Buddy answers as eager does, on shapes chosen to hurt."""

from __future__ import annotations

import buddy
import torch

TOLERANCES = {  # absolute and relative; integers and booleans are exact
    torch.float64: (1e-10, 1e-8),
    torch.float32: (2e-5, 2e-5),
    torch.float16: (2e-3, 2e-3),
    torch.bfloat16: (2e-2, 2e-2),
}


def make(shape, dtype: torch.dtype, positive: bool = False) -> torch.Tensor:
    """A tensor of values that show mistakes: both signs, and zeros among integers."""
    if dtype == torch.bool:
        return torch.rand(shape) > 0.5
    if dtype.is_floating_point:
        x = torch.randn(shape).to(dtype)
        return x.abs() + 0.5 if positive else x
    low = 1 if positive or dtype == torch.uint8 else -9
    return torch.randint(low, 10, shape, dtype=dtype)


def compiled(fn, **options):
    """`fn` compiled by Buddy whole, or an error."""
    return torch.compile(
        fn, backend="buddy", fullgraph=True, dynamic=False, options={"fallback": False, **options}
    )


def outputs_of(value) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def assert_same(actual, expected, tolerance=None) -> None:
    """Values, dtype, shape and stride class of every output."""
    assert len(outputs_of(actual)) == len(outputs_of(expected))
    for a, b in zip(outputs_of(actual), outputs_of(expected)):
        if not isinstance(b, torch.Tensor):
            assert a == b
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.is_contiguous() == b.is_contiguous(), (a.stride(), b.stride())
        atol, rtol = tolerance or TOLERANCES.get(b.dtype, (0, 0))
        torch.testing.assert_close(a, b, atol=atol, rtol=rtol, equal_nan=True)


def check(fn, *shapes, dtype=torch.float32, positive=False, tolerance=None, **options):
    """Compile `fn` of tensors of these shapes and compare with eager; no fallback, one graph.

    A tensor among `shapes` is taken as it is.
    """
    args = [s if isinstance(s, torch.Tensor) else make(s, dtype, positive) for s in shapes]
    copies = [a.clone() for a in args]
    with torch.no_grad():
        expected = fn(*copies)
        actual = compiled(fn, **options)(*args)
    assert_same(actual, expected, tolerance)
    for given, copy in zip(args, copies):  # nothing else was written to
        torch.testing.assert_close(given, copy, atol=0, rtol=0, equal_nan=True)
    assert buddy.stats()["nodes_fallback"] == 0
    return actual
