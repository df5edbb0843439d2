# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Distances between rows, and products of three."""

from __future__ import annotations

import math

import torch

from .registry import TRAINING, decomposes

aten = torch.ops.aten


def _norm(distance, p: float):
    """The p-norm over the last dimension."""
    size = distance.abs()
    if p == 0:
        return (size != 0).to(size.dtype).sum(-1)
    if p == 1:
        return size.sum(-1)
    if math.isinf(p):
        return size.amax(-1)
    if p == 2:
        return (size * size).sum(-1).sqrt()
    return size.pow(p).sum(-1).pow(1 / p)


@decomposes(aten._cdist_forward.default)
def cdist(x1, x2, p, compute_mode):
    if x1.shape[-1] == 0:
        return NotImplemented
    return _norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


@decomposes(aten._pdist_forward.default)
def pdist(x, p=2.0):
    rows = x.shape[0]
    if not isinstance(rows, int) or x.shape[1] == 0:
        return NotImplemented
    if rows < 2:
        return x.new_empty(0)
    first, second = torch.triu_indices(rows, rows, 1, device=x.device)
    return _norm(x[first] - x[second], p)


def _norm_gradient(grad, difference, norm, p: float):
    """The gradient of `_norm` times grad; 0 where the norm is, as in eager."""
    grad, norm = grad.unsqueeze(-1), norm.unsqueeze(-1)
    if p == 0:
        return torch.zeros_like(difference)
    if p == 1:
        return grad * difference.sign()
    if math.isinf(p):
        return grad * difference.sign() * (difference.abs() == norm)
    if p == 2:
        slope = difference / norm
    else:
        slope = difference.sign() * (difference.abs() / norm).pow(p - 1)
    unknown = (norm == 0) | (difference == 0)
    return torch.where(unknown, 0, grad * slope)


@decomposes(aten._cdist_backward.default, table=TRAINING)
def cdist_backward(grad, x1, x2, p, cdist):
    """grad and cdist [...,P,R] to the gradient of x1 [...,P,M]; x2 is [...,R,M]."""
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return _norm_gradient(grad, difference, cdist, p).sum(-2)


@decomposes(aten._pdist_backward.default, table=TRAINING)
def pdist_backward(grad, x, p, pdist):
    """grad and pdist [N(N-1)/2] to the gradient of x [N,M]."""
    rows = x.shape[0]
    if not isinstance(rows, int):
        return NotImplemented
    if rows < 2:
        return torch.zeros_like(x)
    first, second = torch.triu_indices(rows, rows, 1, device=x.device)
    found = _norm_gradient(grad, x[first] - x[second], pdist, p)
    return torch.zeros_like(x).index_add(0, first, found).index_add(0, second, -found)


@decomposes(aten._trilinear.default)
def trilinear(i1, i2, i3, expand1, expand2, expand3, sumdim, unroll_dim=1):
    """Σ i1 · i2 · i3 over sumdim, each with the dimensions that it lacks."""
    for dim in sorted(expand1):
        i1 = i1.unsqueeze(dim)
    for dim in sorted(expand2):
        i2 = i2.unsqueeze(dim)
    for dim in sorted(expand3):
        i3 = i3.unsqueeze(dim)
    product = i1 * i2 * i3
    return product.sum(sumdim) if sumdim else product


@decomposes(aten.addbmm.default)
def addbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """beta · x + alpha · Σ batch1[i] · batch2[i]; whole numbers take the factors cut to theirs."""
    if not (x.is_floating_point() or x.is_complex()):
        beta, alpha = int(beta), int(alpha)
    total = torch.bmm(batch1, batch2).sum(0)
    total = total if alpha == 1 else total * alpha
    if beta == 0:
        return total
    return total + (x if beta == 1 else x * beta)
