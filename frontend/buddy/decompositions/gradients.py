# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Backward ops that torch keeps whole: convolutions, pooling, resampling, padding."""

from __future__ import annotations

import torch

from .registry import decomposes

aten = torch.ops.aten


@decomposes(aten.convolution_backward.default)
def convolution_backward(
    grad_output,
    x,
    weight,
    bias_sizes,
    stride,
    padding,
    dilation,
    transposed,
    output_padding,
    groups,
    output_mask,
):
    spatial = x.dim() - 2
    if not all(isinstance(d, int) for d in (*x.shape[2:], *weight.shape)) or x.numel() == 0:
        return NotImplemented
    stride, padding, dilation = (_per_dim(v, spatial) for v in (stride, padding, dilation))
    grad_x = grad_weight = grad_bias = None
    if output_mask[0]:
        extra = [0] * spatial
        if not transposed:
            extra = _rest(x, grad_output, weight, stride, padding, dilation)
        grad_x = aten.convolution(
            grad_output, weight, None, stride, padding, dilation, not transposed, extra, groups
        )
        grad_x = _cropped(grad_x, x.shape)  # output padding may leave room for one more window
    if output_mask[1]:
        # A transposed convolution is the other one with input and output exchanged.
        source, result = (grad_output, x) if transposed else (x, grad_output)
        grad_weight = _weight_gradient(source, result, weight, stride, padding, dilation, groups)
    if output_mask[2]:
        grad_bias = grad_output.sum([0, *range(2, 2 + spatial)])
    return grad_x, grad_weight, grad_bias


def _cropped(x, shape):
    """The first elements of x along each spatial dimension."""
    for dim, size in enumerate(shape[2:], 2):
        x = x.narrow(dim, 0, size)
    return x


def _per_dim(values, spatial: int) -> list[int]:
    values = list(values)
    return values * spatial if len(values) == 1 else values


def _rest(x, grad_output, weight, stride, padding, dilation) -> list[int]:
    """Elements at the end of x that no window reached."""
    shapes = zip(x.shape[2:], grad_output.shape[2:], weight.shape[2:], stride, padding, dilation)
    return [n - ((o - 1) * s - 2 * p + d * (k - 1) + 1) for n, o, k, s, p, d in shapes]


def _weight_gradient(x, grad, weight, stride, padding, dilation, groups: int):
    """Σ over images and positions of x · grad: a convolution of x by grad, images as channels.

    x [N, G·C, …] and grad [N, G·F, …] give [G·F, C, k…]. Strides and dilations change places.
    """
    if groups == 1 and all(k == 1 for k in weight.shape[2:]):
        return _pointwise_weight_gradient(x, grad, weight, stride, padding)
    x = _reached(x, weight, grad, stride, padding, dilation)
    images, spatial = x.shape[0], list(x.shape[2:])
    channels, filters = x.shape[1] // groups, grad.shape[1]
    x = x.reshape(images, groups, channels, *spatial).movedim(2, 0).movedim(2, 1)
    x = x.reshape(channels, groups * images, *spatial)
    kernel = grad.transpose(0, 1)
    zeros = [0] * len(spatial)
    made = aten.convolution(x, kernel, None, dilation, zeros, stride, False, zeros, groups)
    assert made.shape == (channels, filters, *weight.shape[2:])
    return made.transpose(0, 1).contiguous()


def _pointwise_weight_gradient(x, grad, weight, stride, padding):
    """Of a kernel of one element: a product, whose depth is all positions of all images."""
    x = _reached(x, weight, grad, stride, padding, stride)
    for dim, step in enumerate(stride, 2):
        x = aten.slice(x, dim, 0, None, step)
    x, grad = (y.transpose(0, 1).reshape(y.shape[1], -1) for y in (x, grad))
    return aten.mm(grad, x.t()).view(weight.shape)


def _reached(x, weight, grad, stride, padding, dilation):
    """x with its border, without the end that no window reached."""
    rest = _rest(x, grad, weight, stride, padding, dilation)
    border = [(p, p - r) for p, r in zip(padding, rest)]
    return aten.constant_pad_nd(x, [n for pair in reversed(border) for n in pair])


@decomposes(aten.max_pool2d_with_indices_backward.default)
def max_pool2d_backward(grad_output, x, kernel_size, stride, padding, dilation, ceil_mode, indices):
    return _to_positions(grad_output, x, indices, 2)


@decomposes(aten.max_pool3d_with_indices_backward.default)
def max_pool3d_backward(grad_output, x, kernel_size, stride, padding, dilation, ceil_mode, indices):
    return _to_positions(grad_output, x, indices, 3)


@decomposes(aten.adaptive_max_pool2d_backward.default)
def adaptive_max_pool2d_backward(grad_output, x, indices):
    return _to_positions(grad_output, x, indices, 2)


@decomposes(aten.adaptive_max_pool3d_backward.default)
def adaptive_max_pool3d_backward(grad_output, x, indices):
    return _to_positions(grad_output, x, indices, 3)


def _to_positions(grad_output, x, indices, spatial: int):
    """Each gradient to where its maximum was; windows may share one."""
    zeros = torch.zeros_like(x, memory_format=torch.contiguous_format).flatten(-spatial)
    total = zeros.scatter_add(-1, indices.flatten(-spatial), grad_output.flatten(-spatial))
    return total.view(x.shape)


@decomposes(aten._adaptive_avg_pool2d.default, aten._adaptive_avg_pool3d.default)
def adaptive_avg_pool(x, output_size):
    """Windows of unequal size, as a product with the matrix of each dimension."""
    sizes = x.shape[-len(output_size) :]
    if _none_of(sizes) or _none_of(output_size):
        return NotImplemented
    static = all(isinstance(d, int) for d in (*sizes, *output_size))
    if static and len(output_size) == 2 and all(d % o == 0 for d, o in zip(sizes, output_size)):
        return NotImplemented  # plain windows
    for i, (size, count) in enumerate(zip(sizes, output_size)):
        x = along(x, i - len(output_size), _adaptive_matrix(x, size, count))
    return x


@decomposes(aten._adaptive_avg_pool2d_backward.default)
def adaptive_avg_pool2d_backward(grad_output, x):
    return _adaptive_backward(grad_output, x, 2)


@decomposes(aten._adaptive_avg_pool3d_backward.default)
def adaptive_avg_pool3d_backward(grad_output, x):
    return _adaptive_backward(grad_output, x, 3)


def _adaptive_backward(grad_output, x, spatial: int):
    sizes, counts = x.shape[-spatial:], grad_output.shape[-spatial:]
    if _none_of(sizes) or _none_of(counts):
        return NotImplemented
    for i, (size, count) in enumerate(zip(sizes, counts)):
        matrix = _adaptive_matrix(x, size, count).transpose(0, 1)
        grad_output = along(grad_output, i - spatial, matrix)
    return grad_output


def _none_of(sizes) -> bool:
    """Whether one is known to be 0; asks nothing of a symbolic one, for that would be a guard."""
    return any(isinstance(d, int) and d == 0 for d in sizes)


def _adaptive_matrix(x, size: int | torch.SymInt, count: int | torch.SymInt):
    """[size, count]: 1/length where an element is in a window."""
    window = torch.arange(count, device=x.device)
    start = torch.div(window * size, count, rounding_mode="floor")
    end = torch.div((window + 1) * size + count - 1, count, rounding_mode="floor")
    place = torch.arange(size, device=x.device).unsqueeze(1)
    inside = (place >= start) & (place < end)
    wide = torch.promote_types(x.dtype, torch.float32)
    return torch.where(inside, 1 / (end - start).to(wide), 0.0).to(x.dtype)


def along(x, dim: int, matrix):
    """The product of x's dimension `dim` with matrix [size, count]."""
    if dim == -1:
        return torch.matmul(x, matrix)
    return torch.matmul(x.transpose(dim, -1), matrix).transpose(dim, -1)


def _resample_backward(grad_output, input_size, matrix_of):
    """The transpose of a separable linear map; `matrix_of(dim, size)` is [size, count]."""
    if not all(isinstance(d, int) for d in (*grad_output.shape, *input_size)):
        return NotImplemented
    for dim in range(2, len(input_size)):
        matrix = matrix_of(dim - 2, input_size[dim])
        grad_output = along(grad_output, dim - len(input_size), matrix.transpose(0, 1))
    return grad_output


def _eye(x, size: int):
    """[1, size, size]: each channel is one element's share of the result."""
    return torch.eye(size, dtype=x.dtype, device=x.device).unsqueeze(0)


@decomposes(aten.upsample_nearest1d_backward.default)
def nearest1d_backward(grad_output, output_size, input_size, scales=None):
    return _nearest_backward(aten.upsample_nearest1d, grad_output, output_size, input_size, scales)


@decomposes(aten.upsample_nearest2d_backward.default)
def nearest2d_backward(grad_output, output_size, input_size, scales_h=None, scales_w=None):
    return _nearest_backward(
        aten.upsample_nearest1d, grad_output, output_size, input_size, scales_h, scales_w
    )


@decomposes(aten.upsample_nearest3d_backward.default)
def nearest3d_backward(
    grad_output, output_size, input_size, scales_d=None, scales_h=None, scales_w=None
):
    return _nearest_backward(
        aten.upsample_nearest1d, grad_output, output_size, input_size, scales_d, scales_h, scales_w
    )


def _nearest_backward(resample, grad_output, output_size, input_size, *scales):
    def matrix(i, size):
        return resample(_eye(grad_output, size), [output_size[i]], scales[i])[0]

    return _resample_backward(grad_output, input_size, matrix)


@decomposes(aten.upsample_linear1d_backward.default)
def linear1d_backward(grad_output, output_size, input_size, align_corners, scales=None):
    return _linear_backward(grad_output, output_size, input_size, align_corners, scales)


@decomposes(aten.upsample_bilinear2d_backward.default)
def bilinear2d_backward(
    grad_output, output_size, input_size, align_corners, scales_h=None, scales_w=None
):
    return _linear_backward(grad_output, output_size, input_size, align_corners, scales_h, scales_w)


@decomposes(aten.upsample_trilinear3d_backward.default)
def trilinear3d_backward(
    grad_output,
    output_size,
    input_size,
    align_corners,
    scales_d=None,
    scales_h=None,
    scales_w=None,
):
    return _linear_backward(
        grad_output, output_size, input_size, align_corners, scales_d, scales_h, scales_w
    )


def _linear_backward(grad_output, output_size, input_size, align_corners, *scales):
    def matrix(i, size):
        eye = _eye(grad_output, size)
        return aten.upsample_linear1d(eye, [output_size[i]], align_corners, scales[i])[0]

    return _resample_backward(grad_output, input_size, matrix)


@decomposes(aten.upsample_bicubic2d_backward.default)
def bicubic2d_backward(
    grad_output, output_size, input_size, align_corners, scales_h=None, scales_w=None
):
    scales = (scales_h, scales_w)

    def matrix(i, size):
        column = _eye(grad_output, size).unsqueeze(-1)  # a width of 1 stays what it is
        made = aten.upsample_bicubic2d(column, [output_size[i], 1], align_corners, scales[i], None)
        return made[0, :, :, 0]

    return _resample_backward(grad_output, input_size, matrix)


@decomposes(
    aten.replication_pad1d_backward.default,
    aten.replication_pad2d_backward.default,
    aten.replication_pad3d_backward.default,
)
def replication_pad_backward(grad_output, x, padding):
    """The border's gradients to the edge that was repeated."""
    total = grad_output
    for i in range(len(padding) // 2):
        dim, low = x.dim() - 1 - i, padding[2 * i]
        place = torch.arange(total.shape[dim], device=x.device) - low
        index = place.clamp(0, x.shape[dim] - 1)
        shape = [*total.shape[:dim], x.shape[dim], *total.shape[dim + 1 :]]
        total = total.new_zeros(shape).index_add(dim, index, total)
    return total


@decomposes(aten._weight_norm_interface_backward.default)
def weight_norm_backward(grad_w, saved_v, saved_g, saved_norms, dim):
    """Gradients of v and g in w = g v / |v|, where |v| is over all dimensions but `dim`."""
    others = [d for d in range(saved_v.dim()) if d != dim]
    narrow = saved_v.dtype
    grad_w, v, g = (x.to(saved_norms.dtype) for x in (grad_w, saved_v, saved_g))
    norms = saved_norms.reshape(g.shape)
    along = (grad_w * v).sum(others, keepdim=True) / norms
    grad_v = g / norms * (grad_w - v * (along / norms))
    return grad_v.to(narrow), along.to(narrow)
