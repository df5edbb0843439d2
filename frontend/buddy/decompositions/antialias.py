# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Resampling of images through a filter that is as wide as the step where that is above 1.

Along each dimension it is the product with a matrix [size, count]: the filter at the distance
from every element to every sample, made to sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from .gradients import along
from .registry import decomposes

aten = torch.ops.aten


def _linear(x):
    return (1 - x.abs()).clamp(min=0)


def _cubic(x):
    """The cubic convolution whose slope at 1 is −1/2."""
    x, a = x.abs(), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))


def _lanczos(x):
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0)


def _matrix(of, filter: Callable, size, count, align: bool, scale: float | None):
    """In f32 at least; positions and widths are in elements."""
    if align:
        step = (size - 1) / (count - 1) if count != 1 else 0.0
    else:
        step = 1 / scale if scale else size / count
    dtype = torch.promote_types(of.dtype, torch.float32)
    element = torch.arange(size, dtype=dtype, device=of.device).unsqueeze(1)
    sample = torch.arange(count, dtype=dtype, device=of.device)
    stretch = (torch.ones((), dtype=dtype, device=of.device) * step).clamp(min=1)
    weights = filter((element + 0.5 - (sample + 0.5) * step) / stretch)
    return weights / weights.sum(0)


def _resampled(x, filter: Callable, output_size, align: bool, scales):
    if not x.is_floating_point():
        return NotImplemented  # bytes are rounded after each dimension
    matrices = _matrices(x, filter, x.shape, output_size, align, scales)
    return _product(x, matrices)


def _gradient(grad, filter: Callable, output_size, input_size, align: bool, scales):
    matrices = _matrices(grad, filter, input_size, output_size, align, scales)
    return _product(grad, [matrix.transpose(0, 1) for matrix in matrices])


def _matrices(of, filter: Callable, input_size, output_size, align: bool, scales):
    sizes = zip(input_size[2:], output_size, scales)
    return [_matrix(of, filter, size, count, align, scale) for size, count, scale in sizes]


def _product(x, matrices):
    """Of both spatial dimensions; the last one comes last, which leaves the result contiguous."""
    made = x.to(matrices[0].dtype)
    for dim, matrix in enumerate(matrices, -2):
        made = along(made, dim, matrix)
    return made.to(x.dtype)


@decomposes(aten._upsample_bilinear2d_aa.default)
def bilinear(x, output_size, align_corners, scales_h=None, scales_w=None):
    return _resampled(x, _linear, output_size, align_corners, (scales_h, scales_w))


@decomposes(aten._upsample_bicubic2d_aa.default)
def bicubic(x, output_size, align_corners, scales_h=None, scales_w=None):
    return _resampled(x, _cubic, output_size, align_corners, (scales_h, scales_w))


@decomposes(aten._upsample_lanczos2d_aa.default)
def lanczos(x, output_size, align_corners, scales_h=None, scales_w=None):
    return _resampled(x, _lanczos, output_size, align_corners, (scales_h, scales_w))


@decomposes(aten._upsample_bilinear2d_aa_backward.default)
def bilinear_backward(grad_output, output_size, input_size, align_corners, scales_h=None, scales_w=None):  # fmt: skip
    scales = scales_h, scales_w
    return _gradient(grad_output, _linear, output_size, input_size, align_corners, scales)


@decomposes(aten._upsample_bicubic2d_aa_backward.default)
def bicubic_backward(grad_output, output_size, input_size, align_corners, scales_h=None, scales_w=None):  # fmt: skip
    scales = scales_h, scales_w
    return _gradient(grad_output, _cubic, output_size, input_size, align_corners, scales)


@decomposes(aten._upsample_lanczos2d_aa_backward.default)
def lanczos_backward(grad_output, output_size, input_size, align_corners, scales_h=None, scales_w=None):  # fmt: skip
    scales = scales_h, scales_w
    return _gradient(grad_output, _lanczos, output_size, input_size, align_corners, scales)
