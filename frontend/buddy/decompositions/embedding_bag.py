# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of bags of rows. They find the bags again; only maxima are kept where they were."""

from __future__ import annotations

import torch

from .registry import TRAINING, decomposes

aten = torch.ops.aten
SUM, MEAN, MAX = range(3)


def _bags(count, indices, offsets):
    """For each index [N] which of `count` bags it lies in: offsets with or without the last one."""
    places = torch.arange(indices.shape[0], dtype=offsets.dtype, device=indices.device)
    return torch.bucketize(places, offsets[:count], right=True) - 1


@decomposes(aten._embedding_bag.default, table=TRAINING)
def embedding_bag(
    weight,
    indices,
    offsets,
    scale_grad_by_freq=False,
    mode=SUM,
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=-1,
):
    """Maxima, and the rows they come from: of equal ones the first. The rest stays whole."""
    if mode != MAX or indices.shape[0] == 0:
        return NotImplemented
    count, number = offsets.shape[0] - include_last_offset, indices.shape[0]
    bags = _bags(count, indices, offsets)
    counted = torch.where(indices == padding_idx, count, bags)  # one bag more, for padding
    rows = weight[indices]
    lowest = weight.new_full((count + 1, weight.shape[1]), -torch.inf)
    most = lowest.index_reduce(0, counted, rows, "amax")
    place = torch.arange(number, device=indices.device).unsqueeze(1)
    place = torch.where((rows == most[counted]) | rows.isnan(), place, number)
    none = torch.full_like(most, number, dtype=torch.int64)
    first = none.index_reduce(0, counted, place, "amin")[:count]
    found = first < number
    sources = torch.where(found, indices[first.clamp(max=number - 1)], 0)
    sizes = indices.new_zeros(count + 1).index_add(0, counted, torch.ones_like(indices))[:count]
    return torch.where(found, most[:count], 0), bags, sizes, sources


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
    if sparse:
        return NotImplemented
    bags = _bags(grad.shape[0], indices, offsets)
    counted = (indices != padding_idx).to(torch.int64)
    sizes = counted.new_zeros(grad.shape[0]).index_add(0, bags, counted)
    return dense_backward(
        grad,
        indices,
        bags,
        sizes,
        maximum_indices,
        num_weights,
        scale_grad_by_freq,
        mode,
        per_sample_weights,
        padding_idx,
    )


@decomposes(aten._embedding_bag_dense_backward.default)
def dense_backward(
    grad,
    indices,
    offset2bag,
    bag_size,
    maximum_indices,
    num_weights,
    scale_grad_by_freq,
    mode,
    per_sample_weights,
    padding_idx=-1,
):
    """The same where the bag of each index [N] and the sizes of the bags [B] are known."""
    if scale_grad_by_freq:
        return NotImplemented  # eager divides by the frequency of another row
    sizes = bag_size.unsqueeze(1)
    total = grad.new_zeros(num_weights, grad.shape[1])
    if mode == MAX:
        return total.scatter_add(0, maximum_indices, torch.where(sizes > 0, grad, 0))
    if mode == MEAN:
        grad = grad / sizes.clamp(min=1)
    rows = grad[offset2bag] * (indices != padding_idx).unsqueeze(1)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(1)
    return total.index_add(0, indices, rows)


@decomposes(aten._embedding_bag_per_sample_weights_backward.default, table=TRAINING)
def per_sample_weights_backward(grad, weight, indices, offsets, offset2bag, mode, padding_idx=-1):
    products = (grad[_bags(grad.shape[0], indices, offsets)] * weight[indices]).sum(1)
    return products * (indices != padding_idx)
