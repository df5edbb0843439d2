# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of groups of rows with a matrix each, as mixtures of experts have them.

Groups are as long as the data says. Their rows are laid into blocks of one length, so that a
block has rows of one group only, and the blocks are one batched product. A block is as long as
the average group: there are at most twice as many blocks as groups, so that the matrices
gathered for them take at most twice the memory of the matrices themselves.
"""

from __future__ import annotations

import torch

from .registry import decomposes, decomposes_foreign

aten = torch.ops.aten


class Blocks:
    """Where `rows` rows in groups that end at `ends` [G] (ascending) lie in blocks.

    `row` [B, M] is the row at each place of each block, `taken` [B, M] whether there is one,
    `group` [B] the group of a block, `place` [rows] where each row is, in blocks laid end to end,
    and `grouped` [rows] whether the row is in a group at all: those behind the last end are not.
    """

    def __init__(self, rows, ends: torch.Tensor):
        groups, device = ends.shape[0], ends.device
        length = torch.sym_max((rows + groups - 1) // groups, 1)
        ends = ends.to(torch.int64)
        starts = torch.constant_pad_nd(ends, [1, -1])
        counts = (ends - starts + length - 1) // length  # blocks of each group
        last = counts.cumsum(0)
        first = last - counts

        block = torch.arange(torch.sym_min(2 * groups, rows), device=device)
        self.group = _number_before(last, block).clamp(max=groups - 1)
        inside = torch.arange(length, device=device)
        begin = starts[self.group] + (block - first[self.group]) * length
        row = begin.unsqueeze(1) + inside
        self.taken = row < ends[self.group].unsqueeze(1)
        self.row = row.clamp(0, rows - 1)

        everywhere = torch.arange(rows, device=device)
        group = _number_before(ends, everywhere)
        self.grouped = group < groups
        group = group.clamp(max=groups - 1)
        offset = everywhere - starts[group]
        place = (first[group] + offset // length) * length + offset % length
        self.place = torch.where(self.grouped, place, 0)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """Rows [rows, K] in blocks [B, M, K], with zeros where there is no row."""
        return torch.where(self.taken.unsqueeze(-1), x[self.row], 0)

    def rows_of(self, blocks: torch.Tensor) -> torch.Tensor:
        """Blocks [B, M, N] as rows [rows, N], with zeros for those in no group."""
        rows = blocks.flatten(0, 1)[self.place]
        return torch.where(self.grouped.unsqueeze(-1), rows, 0)


def _number_before(ends: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """How many of `ends` [G] are not beyond each position [P]."""
    return (ends <= positions.unsqueeze(1)).sum(1)


def rows_by_matrices(x, matrices, ends):
    """[rows, K] with matrices [G, K, N] → [rows, N]."""
    blocks = Blocks(x.shape[0], ends)
    return blocks.rows_of(torch.bmm(blocks.of(x), matrices[blocks.group]))


def columns_by_rows(x, y, ends):
    """xᵀ y of each group: [rows, K] and [rows, N] → [G, K, N]."""
    blocks = Blocks(x.shape[0], ends)
    products = torch.bmm(blocks.of(x).transpose(1, 2), blocks.of(y))
    start = products.new_zeros((ends.shape[0], x.shape[1], y.shape[1]))
    return start.index_add(0, blocks.group, products)


@decomposes(aten._grouped_mm.default)
def grouped_mm(x, y, offs=None, bias=None, out_dtype=None):
    """Rows of x, or inner columns of x and rows of y, in groups that end at `offs`."""
    if offs is None or bias is not None or 0 in (*x.shape, *y.shape):
        return NotImplemented
    if x.dim() == 2 and y.dim() == 3:
        out = rows_by_matrices(x, y, offs)
    elif x.dim() == 2 and y.dim() == 2:
        out = columns_by_rows(x.transpose(0, 1), y, offs)
    else:
        return NotImplemented
    return out if out_dtype is None else out.to(out_dtype)


@decomposes_foreign("transformers::grouped_mm_fallback")
def grouped_mm_fallback(x, weight, offs):
    if 0 in (*x.shape, *weight.shape):
        return NotImplemented
    return rows_by_matrices(x, weight, offs)


@decomposes_foreign("transformers::grouped_mm_fallback_backward")
def grouped_mm_fallback_backward(x, weight, offs, grad_output):
    if 0 in (*x.shape, *weight.shape):
        return NotImplemented
    return (
        rows_by_matrices(grad_output, weight.transpose(1, 2), offs),
        columns_by_rows(x, grad_output, offs),
    )
