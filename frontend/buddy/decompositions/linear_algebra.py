# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorizations and solvers of small matrices: the loop over columns is unrolled.

Larger ones than MOST_COLUMNS stay whole, and run eagerly.
"""

from __future__ import annotations

import torch

from .registry import decomposes

aten = torch.ops.aten
MOST_COLUMNS = 16


def is_small(matrix) -> bool:
    rows, columns = matrix.shape[-2:]
    return (
        isinstance(rows, int)
        and isinstance(columns, int)
        and max(rows, columns) <= MOST_COLUMNS
        and not matrix.is_complex()
    )


def by_columns(x):
    """x with its columns contiguous, as eager's library leaves it."""
    return x.transpose(-2, -1).contiguous().transpose(-2, -1)


def solve_lower(factor, right, unit: bool):
    """X with L X = B, row by row."""
    if factor.shape[-1] == 0:
        return right
    rows: list[torch.Tensor] = []
    for i in range(factor.shape[-1]):
        row = right[..., i : i + 1, :]
        if i:
            row = row - torch.matmul(factor[..., i : i + 1, :i], torch.cat(rows, -2))
        rows.append(row if unit else row / factor[..., i : i + 1, i : i + 1])
    return torch.cat(rows, -2)


def solve_upper(factor, right, unit: bool):
    """X with U X = B: from the last row up."""
    return solve_lower(factor.flip([-2, -1]), right.flip(-2), unit).flip(-2)


def _solve_triangle(factor, right, upper: bool, unit: bool):
    shape = torch.broadcast_shapes(factor.shape[:-2], right.shape[:-2])
    factor = factor.expand(*shape, *factor.shape[-2:])
    right = right.expand(*shape, *right.shape[-2:])
    return by_columns((solve_upper if upper else solve_lower)(factor, right, unit))


@decomposes(aten.linalg_solve_triangular.default)
def solve_triangular(factor, right, *, upper, left=True, unitriangular=False):
    if not is_small(factor):
        return NotImplemented
    if left:
        return _solve_triangle(factor, right, upper, unitriangular)
    factor, right = factor.transpose(-2, -1), right.transpose(-2, -1)
    return by_columns(_solve_triangle(factor, right, not upper, unitriangular).transpose(-2, -1))


@decomposes(aten.triangular_solve.default)
def triangular_solve(right, factor, upper=True, transpose=False, unitriangular=False):
    if not is_small(factor):
        return NotImplemented
    matrix = factor.transpose(-2, -1) if transpose else factor
    solved = _solve_triangle(matrix, right, upper != transpose, unitriangular)
    return solved, by_columns(factor.expand(*solved.shape[:-2], *factor.shape[-2:]))


@decomposes(aten.linalg_cholesky_ex.default)
def cholesky(matrix, *, upper=False, check_errors=False):
    """L with L Lᵀ = A, column by column; reads one triangle."""
    if not is_small(matrix) or check_errors:
        return NotImplemented
    matrix = matrix.transpose(-2, -1) if upper else matrix
    info = torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)
    columns: list[torch.Tensor] = []
    for j in range(matrix.shape[-1]):
        column = matrix[..., j:, j : j + 1]
        if j:
            left = torch.cat([c[..., j - k :, :] for k, c in enumerate(columns)], -1)
            column = column - torch.matmul(left, left[..., :1, :].transpose(-2, -1))
        pivot = column[..., :1, :]
        failed = ~(pivot[..., 0, 0] > 0) & (info == 0)
        info = torch.where(failed, j + 1, info)
        columns.append(column / pivot.sqrt())
    padded = [aten.constant_pad_nd(c, [0, 0, j, 0]) for j, c in enumerate(columns)]
    lower = torch.cat(padded, -1) if padded else matrix
    return by_columns(lower.transpose(-2, -1) if upper else lower), info


def _lu(matrix):
    """Gaussian elimination with partial pivoting: both factors in one, pivots from 1, info."""
    rows, columns = matrix.shape[-2:]
    row = torch.arange(rows, device=matrix.device)
    beyond = torch.arange(columns, device=matrix.device)
    info = torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)
    pivots = []
    for k in range(min(rows, columns)):
        best = matrix[..., k:, k].abs().argmax(-1, keepdim=True) + k
        pivots.append(best + 1)
        order = torch.where(row == best, k, torch.where(row == k, best, row))
        matrix = matrix.gather(-2, order.unsqueeze(-1).expand(matrix.shape))
        pivot = matrix[..., k : k + 1, k : k + 1]
        info = torch.where((pivot[..., 0, 0] == 0) & (info == 0), k + 1, info)
        column = matrix[..., :, k : k + 1]
        below = (row > k).unsqueeze(-1)
        factor = torch.where(below, torch.where(pivot == 0, column, column / pivot), 0.0)
        reduced = matrix - factor * matrix[..., k : k + 1, :]
        matrix = torch.where(beyond > k, reduced, matrix)
        matrix = torch.where(below & (beyond == k), factor, matrix)
    if not pivots:
        return matrix, info.unsqueeze(-1).expand(*info.shape, 0), info
    return by_columns(matrix), torch.cat(pivots, -1).to(torch.int32), info


def _permuted(right, pivots, back: bool = False):
    """The rows of right, exchanged as the elimination did, or exchanged back."""
    row = torch.arange(right.shape[-2], device=right.device)
    steps = range(pivots.shape[-1])
    for k in reversed(steps) if back else steps:
        best = pivots[..., k : k + 1].to(torch.int64) - 1
        order = torch.where(row == best, k, torch.where(row == k, best, row))
        right = right.gather(-2, order.unsqueeze(-1).expand(right.shape))
    return right


def _solve(factors, pivots, right, transposed: bool = False):
    """X with A X = B, or with Aᵀ X = B."""
    shape = torch.broadcast_shapes(factors.shape[:-2], right.shape[:-2])
    factors = factors.expand(*shape, *factors.shape[-2:])
    pivots = pivots.expand(*shape, pivots.shape[-1])
    right = right.expand(*shape, *right.shape[-2:])
    if not transposed:
        return solve_upper(factors, solve_lower(factors, _permuted(right, pivots), True), False)
    factors = factors.transpose(-2, -1)
    return _permuted(solve_upper(factors, solve_lower(factors, right, False), True), pivots, True)


@decomposes(aten.linalg_lu_factor_ex.default)
def lu_factor(matrix, *, pivot=True, check_errors=False):
    if not is_small(matrix) or not pivot or check_errors:
        return NotImplemented
    return _lu(matrix)


@decomposes(aten.linalg_lu.default)
def lu(matrix, *, pivot=True):
    if not is_small(matrix) or not pivot:
        return NotImplemented
    factors, pivots, _ = _lu(matrix)
    return lu_unpack(factors, pivots)


@decomposes(aten.linalg_lu_solve.default)
def lu_solve(factors, pivots, right, *, left=True, adjoint=False):
    if not is_small(factors):
        return NotImplemented
    if left:
        return by_columns(_solve(factors, pivots, right, adjoint))
    solved = _solve(factors, pivots, right.transpose(-2, -1), not adjoint)
    return solved.transpose(-2, -1).contiguous()


@decomposes(aten._linalg_solve_ex.default)
def solve(matrix, right, *, left=True, check_errors=False):
    if not is_small(matrix) or not left or check_errors:
        return NotImplemented
    factors, pivots, info = _lu(matrix)
    vector = right.dim() == 1 or right.shape == matrix.shape[:-1]
    solved = by_columns(_solve(factors, pivots, right.unsqueeze(-1) if vector else right))
    return (solved.squeeze(-1) if vector else solved), factors, pivots, info


@decomposes(aten.linalg_inv_ex.default)
def inverse(matrix, *, check_errors=False):
    if not is_small(matrix) or check_errors:
        return NotImplemented
    factors, pivots, info = _lu(matrix)
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return by_columns(_solve(factors, pivots, eye.expand(matrix.shape))), info


def _exchanges(pivots):
    """−1 for an odd number of exchanged rows."""
    row = torch.arange(1, pivots.shape[-1] + 1, device=pivots.device)
    return 1 - 2 * ((pivots != row).sum(-1) % 2)


def _lu_for_determinant(matrix):
    """`_lu` of the matrix, or as in eager of its transpose, which has the same determinant.

    The gradient reads the factors, and knows by the same rule whose they are.
    """
    return _lu(matrix.transpose(-2, -1) if matrix.is_contiguous() else matrix)


@decomposes(aten._linalg_det.default)
def determinant(matrix):
    if not is_small(matrix):
        return NotImplemented
    factors, pivots, _ = _lu_for_determinant(matrix)
    diagonal = torch.diagonal(factors, dim1=-2, dim2=-1)
    return diagonal.prod(-1) * _exchanges(pivots).to(matrix.dtype), factors, pivots


@decomposes(aten._linalg_slogdet.default)
def log_determinant(matrix):
    if not is_small(matrix):
        return NotImplemented
    factors, pivots, _ = _lu_for_determinant(matrix)
    diagonal = torch.diagonal(factors, dim1=-2, dim2=-1)
    sign = diagonal.sign().prod(-1) * _exchanges(pivots).to(matrix.dtype)
    return sign, diagonal.abs().log().sum(-1), factors, pivots


@decomposes(aten.linalg_householder_product.default)
def householder_product(reflectors, tau):
    """The first columns of H₁ H₂ … Hₖ with Hᵢ = 1 − τᵢ vᵢ vᵢᵀ, from the last one on."""
    if not is_small(reflectors):
        return NotImplemented
    rows, columns = reflectors.shape[-2:]
    result = torch.eye(rows, columns, dtype=reflectors.dtype, device=reflectors.device)
    result = result.expand(reflectors.shape)
    row = torch.arange(rows, device=reflectors.device).unsqueeze(-1)
    for i in reversed(range(tau.shape[-1])):
        vector = torch.where(row > i, reflectors[..., :, i : i + 1], (row == i).to(tau.dtype))
        share = torch.matmul(vector.transpose(-2, -1), result)
        result = result - tau[..., i : i + 1].unsqueeze(-1) * vector * share
    return by_columns(result)


@decomposes(aten.cholesky_solve.default)
def cholesky_solve(right, factor, upper=False):
    if not is_small(factor):
        return NotImplemented
    lower = factor.transpose(-2, -1) if upper else factor
    half = _solve_triangle(lower, right, False, False)
    return _solve_triangle(lower.transpose(-2, -1), half, True, False)


@decomposes(aten.cholesky_inverse.default)
def cholesky_inverse(factor, upper=False):
    if not is_small(factor):
        return NotImplemented
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return cholesky_solve(eye.expand(factor.shape), factor, upper)


@decomposes(aten.lu_unpack.default)
def lu_unpack(factors, pivots, unpack_data=True, unpack_pivots=True):
    """The three factors, each in its own tensor; what is not asked for is empty."""
    if not is_small(factors):
        return NotImplemented
    rows, columns = factors.shape[-2:]
    least, nothing = min(rows, columns), factors.new_empty(0)
    lower = upper = nothing
    if unpack_data:
        eye = torch.eye(rows, least, dtype=factors.dtype, device=factors.device)
        lower = factors[..., :, :least].tril(-1) + eye
        upper = factors[..., :least, :].triu()
    if not unpack_pivots:
        return nothing, lower, upper
    order = torch.arange(rows, device=factors.device).expand(*factors.shape[:-2], rows)
    for i in range(pivots.shape[-1]):
        other = (pivots[..., i : i + 1] - 1).to(torch.int64)
        place = torch.arange(rows, device=factors.device)
        here, there = order[..., i : i + 1], order.gather(-1, other)
        order = torch.where(place == other, here, order)
        order = torch.where(place == i, there, order)
    place = torch.arange(rows, device=factors.device).unsqueeze(-1)
    permutation = (order.unsqueeze(-2) == place).to(factors.dtype)
    return permutation, lower, upper
