# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of bags of rows. They find the bags again, and read nothing that eager kept of them."""

from __future__ import annotations

import torch

from .registry import TRAINING, decomposes

aten = torch.ops.aten
SUM, MEAN, MAX = range(3)


def _bags(grad, indices, offsets):
    """For each index [N] the bag it lies in: offsets [B], with or without the last one."""
    places = torch.arange(indices.shape[0], dtype=offsets.dtype, device=indices.device)
    return torch.bucketize(places, offsets[: grad.shape[0]], right=True) - 1


@decomposes(aten._embedding_bag_backward.default, table=TRAINING)
def embedding_bag_backward(
    grad,
    indices,
    offsets,
    offset2bag,
    bag_size,
    maximum_indices,
    num_weights,
    scale_grad_by_freq,
    mode,
    sparse,
    per_sample_weights,
    padding_idx=-1,
):
    """grad [B,D] to the gradient of the weight [num_weights,D]."""
    if mode == MAX or scale_grad_by_freq or sparse:
        return NotImplemented
    bags = _bags(grad, indices, offsets)
    counted = indices != padding_idx
    if mode == MEAN:
        sizes = torch.zeros_like(grad[:, 0]).index_add(0, bags, counted.to(grad.dtype))
        grad = grad / sizes.clamp(min=1)[:, None]
    rows = grad[bags] * counted[:, None]
    if per_sample_weights is not None:
        rows = rows * per_sample_weights[:, None]
    return grad.new_zeros(num_weights, grad.shape[1]).index_add(0, indices, rows)


@decomposes(aten._embedding_bag_per_sample_weights_backward.default, table=TRAINING)
def per_sample_weights_backward(grad, weight, indices, offsets, offset2bag, mode, padding_idx=-1):
    products = (grad[_bags(grad, indices, offsets)] * weight[indices]).sum(1)
    return products * (indices != padding_idx)
