# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Indices out of range are errors that name the op, as in eager; no memory outside is touched."""

from __future__ import annotations

import buddy
import pytest
import torch
import torch.nn.functional as F
from checking import compiled

ROWS = 5


def put(x, i):
    y = x.clone()
    y[i] = 1.0
    return y


READS = {
    "embedding": lambda x, i: F.embedding(i, x),
    "embedding_bag": lambda x, i: F.embedding_bag(i.reshape(1, -1), x),
    "index_select": lambda x, i: x.index_select(0, i),
    "gather": lambda x, i: x.gather(0, i[:, None]),
}
WRITES = {
    "scatter": lambda x, i: x.scatter(0, i[:, None], 1.0),
    "scatter_add": lambda x, i: x.scatter_add(0, i[:, None], x[:1, :1].expand(i.shape[0], 1)),
    "index_add": lambda x, i: x.index_add(0, i, x[:1].expand(i.shape[0], -1)),
    "index_copy": lambda x, i: x.index_copy(0, i, x[:1].expand(i.shape[0], -1)),
}
FROM_THE_END = {  # ops whose negative indices count from the end
    "index": lambda x, i: x[i],
    "take": lambda x, i: x[:, 0].contiguous().take(i),
    "index_put": put,
    "index_fill": lambda x, i: x.index_fill(0, i, 2.0),
    "put": lambda x, i: x[:, 0].contiguous().put(i, x[0, 0].expand(i.shape[0])),
}


@pytest.mark.parametrize("op", [*READS, *WRITES, *FROM_THE_END])
def test_out_of_range(op):
    fn = {**READS, **WRITES, **FROM_THE_END}[op]
    x, program = torch.randn(ROWS, 3), compiled(fn)
    low = -ROWS if op in FROM_THE_END else 0
    good = torch.tensor([0, ROWS - 1, low, 1])
    torch.testing.assert_close(program(x, good), fn(x, good))
    for outside in (ROWS, low - 1, 10**12, -(10**12)):
        with pytest.raises(IndexError, match=rf"index out of range: aten\.\w*{op}.*to 5 - 1"):
            program(x, torch.tensor([0, outside, 1, 2]))
    torch.testing.assert_close(program(x, good), fn(x, good))


def test_the_first_failing_op_is_named():
    program = compiled(lambda x, i, j: (x[i], x[j], x.index_select(1, j)))
    x, good = torch.randn(ROWS, 3), torch.tensor([0, 2])
    program(x, good, good)
    with pytest.raises(buddy.OutOfRangeError, match=r"index\.Tensor .* takes -5 to 5 - 1"):
        program(x, good, torch.tensor([7, 0]))
    with pytest.raises(buddy.OutOfRangeError, match=r"index_select\.default .* takes 0 to 3 - 1"):
        program(x, good, torch.tensor([4, 0]))


def test_dynamic_sizes_and_gradients():
    def loss(w, i):
        return F.embedding(i, w).sum() + w[i].prod()

    program = torch.compile(loss, backend="buddy", fullgraph=True, dynamic=True)
    for rows in (5, 7):
        w, i = torch.randn(rows, 3, requires_grad=True), torch.tensor([rows - 1, 0])
        expected = torch.autograd.grad(loss(w, i), w)
        torch.testing.assert_close(torch.autograd.grad(program(w, i), w), expected)
        with pytest.raises(IndexError, match="index out of range"):
            program(w, i + 1)


def test_targets_of_losses():
    program = compiled(lambda x, t: F.cross_entropy(x, t))
    x, t = torch.randn(4, ROWS), torch.tensor([0, 4, -100, 2])
    torch.testing.assert_close(program(x, t), F.cross_entropy(x, t))
    with pytest.raises(IndexError):
        program(x, t + 1)
