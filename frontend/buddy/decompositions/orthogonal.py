# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Householder's factorization A = Q R of small matrices, column by column as in `linear_algebra`.

Q is H₁ H₂ … Hₖ with Hᵢ = 1 − τᵢ vᵢ vᵢᵀ; vᵢ is 1 at i, 0 above it, and stored below A's diagonal.
"""

from __future__ import annotations

import torch

from .linear_algebra import by_columns, householder_product, is_small
from .registry import decomposes

aten = torch.ops.aten


@decomposes(aten.geqrf.default)
def geqrf(matrix):
    """R with the vectors below it, and τ."""
    if not is_small(matrix):
        return NotImplemented
    rows, columns = matrix.shape[-2:]
    row = torch.arange(rows, device=matrix.device).unsqueeze(-1)
    beyond, scales = torch.arange(columns, device=matrix.device), []
    for k in range(min(rows, columns)):
        column, first = matrix[..., k : k + 1], matrix[..., k : k + 1, k : k + 1]
        tail = torch.where(row > k, column, 0)
        rest = (tail * tail).sum(-2, keepdim=True)
        done = rest == 0  # H is the identity
        norm = torch.copysign((first * first + rest).sqrt(), first)
        scale = torch.where(done, 0, (norm + first) / torch.where(done, 1, norm))
        tail = tail / torch.where(done, 1, first + norm)
        vector = tail + (row == k)
        share = torch.matmul(vector.transpose(-2, -1), matrix)
        reduced = torch.where(beyond > k, matrix - scale * vector * share, matrix)
        found = torch.where(row > k, tail, torch.where(done | (row < k), column, -norm))
        matrix = torch.where(beyond == k, found, reduced)
        scales.append(scale[..., 0])
    return by_columns(matrix), torch.cat(scales, -1) if scales else matrix.new_empty(
        *matrix.shape[:-2], 0
    )


@decomposes(aten.linalg_qr.default)
def qr(matrix, mode="reduced"):
    if not is_small(matrix):
        return NotImplemented
    rows, columns = matrix.shape[-2:]
    factors, scales = geqrf(matrix)
    width = rows if mode == "complete" else min(rows, columns)
    upper = by_columns(factors[..., :width, :].triu())
    if mode == "r":
        return matrix.new_empty(0), upper
    return householder_product(_widened(factors, width), scales), upper


@decomposes(aten.ormqr.default)
def ormqr(reflectors, scales, other, left=True, transpose=False):
    """Q B, Qᵀ B, B Q or B Qᵀ with the whole square Q."""
    if not is_small(reflectors):
        return NotImplemented
    factor = householder_product(_widened(reflectors, reflectors.shape[-2]), scales)
    factor = factor.transpose(-2, -1) if transpose else factor
    return by_columns(torch.matmul(factor, other) if left else torch.matmul(other, factor))


def _widened(matrix, width: int):
    """The first columns of the matrix, zeros beyond them."""
    columns = matrix.shape[-1]
    if width <= columns:
        return matrix[..., :width]
    return aten.constant_pad_nd(matrix, [0, width - columns])
