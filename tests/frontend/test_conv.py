# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import assert_same, check, make


def test_conv2d():
    def convolve(x, w, b):
        return (F.conv2d(x, w, b), F.conv2d(x, w, stride=2, padding=1),
                F.conv2d(x, w, b, dilation=2, padding=(2, 1)), F.conv2d(x, w, b,
                padding="same"))  # fmt: skip

    check(convolve, (2, 3, 9, 11), (5, 3, 3, 3), (5,))
    check(lambda x, w: F.conv2d(x, w), (1, 3, 5, 5), (4, 3, 1, 1))


def test_groups():
    check(lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2), (2, 4, 7, 7), (6, 2, 3, 3), (6,))
    check(lambda x, w: F.conv2d(x, w, padding=1, groups=4), (2, 4, 7, 7), (4, 1, 3, 3))


WEIGHTS = [(64, 48, 3), (18, 33, 3), (7, 40, 3), (10, 70, 4), (64, 20, 5), (32, 64, 2), (16, 16, 1)]


@pytest.mark.parametrize(("channels", "filters", "window"), WEIGHTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64], ids=str)
def test_weights_that_are_packed_in_each_call(channels, filters, window, dtype):
    def convolve(x, w):
        x = x if dtype == torch.int64 else x * channels**-0.5
        return F.conv2d(x, w, padding=1), F.conv_transpose2d(x, w.mT.transpose(0, 1))

    check(convolve, (1, channels, 7, 7), (filters, channels, window, window), dtype=dtype)


GROUPS = [  # groups, and of each: channels, filters
    (8, 4, 4),  # several share a vector
    (5, 8, 8),  # whose lanes are not all used
    (16, 3, 1),  # of odd depth
    (4, 2, 4),
    (3, 6, 12),  # a vector for each, partly used
    (2, 5, 24),
    (3, 16, 48),  # panels of three vectors
    (2, 20, 72),  # several panels
    (5, 40, 8),  # too many channels to share a vector
    (4, 6, 3),  # too few filters for any
    (37, 2, 16),  # tiles that the groups do not fill
    (74, 4, 4),
]


@pytest.mark.parametrize(("groups", "channels", "filters"), GROUPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_groups_of_channels(groups, channels, filters, dtype):
    def convolve(x, w, b):
        x = x * channels**-0.5
        return (F.conv2d(x, w, b, padding=1, groups=groups),
                F.conv2d(x[:1], w, stride=(1, 2), dilation=2, groups=groups))  # fmt: skip

    shapes = (2, groups * channels, 7, 30), (groups * filters, channels, 3, 3), (groups * filters,)
    tolerance = (1e-4, 1e-4) if dtype == torch.float32 else None
    check(convolve, *shapes, dtype=dtype, tolerance=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 6, 33), (2, 16, 16), (8, 4, 4)])
def test_volumes(groups, channels, filters, dtype):
    def convolve(x, w, b):
        x = x * channels**-0.5
        return (F.conv3d(x, w, b, padding=1, groups=groups),
                F.conv3d(x[:1], w, stride=(2, 1, 2), dilation=(1, 2, 1), groups=groups))  # fmt: skip

    shapes = (2, groups * channels, 4, 5, 9), (groups * filters, channels, 3, 3, 2)
    tolerance = (1e-4, 1e-4) if dtype == torch.float32 else None
    check(convolve, *shapes, (groups * filters,), dtype=dtype, tolerance=tolerance)


def test_transposed_volumes():
    def grow(x, w):
        return F.conv_transpose3d(x * 0.2, w, stride=(1, 2, 1)), F.conv_transpose3d(x * 0.2, w)

    check(grow, (1, 24, 3, 4, 5), (24, 32, 2, 3, 3), tolerance=(1e-4, 1e-4))


def test_groups_of_dynamic_images():
    weight = torch.nn.Parameter(torch.randn(64, 8, 3, 3) * 0.1)
    fn = torch.compile(
        lambda x: F.conv2d(x, weight, groups=4), backend="buddy", fullgraph=True, dynamic=True
    )
    for shape in ((2, 32, 9, 8), (3, 32, 5, 31), (5, 32, 12, 6)):
        x = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(fn(x), F.conv2d(x, weight, groups=4), atol=1e-4, rtol=1e-4)


def test_depthwise_volumes():
    check(lambda x, w: F.conv3d(x, w, padding=1, groups=40), (2, 40, 3, 4, 5), (40, 1, 3, 3, 3))


@pytest.mark.parametrize("groups", [1, 2])
def test_lines_of_padding(groups):
    """Windows that begin, end or lie in padding as a whole, of all strides and dilations."""

    def convolve(x, volume, w, w3):
        wide = F.pad(x, (1, 0, 4, 2))
        return (F.conv2d(x, w, padding=(5, 2), groups=groups),
                F.conv2d(x, w, padding=4, stride=(3, 1), dilation=(2, 1), groups=groups),
                F.conv2d(wide, w, dilation=(3, 1), groups=groups),
                F.conv2d(F.pad(x, (1, 1, 1, 1), value=0.5), w, groups=groups),
                F.conv3d(volume, w3, padding=(2, 1, 1), stride=(1, 2, 1), groups=groups),
                F.conv_transpose2d(x, w, padding=1, groups=groups))  # fmt: skip

    shapes = (2, 16, 3, 5), (1, 16, 2, 6, 5), (16, 16 // groups, 3, 3), (16, 16 // groups, 3, 3, 3)
    check(convolve, *shapes)
    args = [make(s, torch.float32) for s in shapes]
    with torch.no_grad():
        dynamic = torch.compile(convolve, backend="buddy", fullgraph=True, dynamic=True)
        assert_same(dynamic(*args), convolve(*args))


def test_known_groups():
    """Weights that are packed ahead of the call, in a network that stays channels last."""
    torch.manual_seed(0)
    shapes = (64, 2, 1, 1), (64, 4, 3, 3), (96, 16, 3, 3), (12, 96, 1, 1)
    weights = [torch.nn.Parameter(torch.randn(shape) * 0.2) for shape in shapes]

    def network(x):
        for weight, groups in zip(weights, (1, 16, 4, 1)):
            x = F.relu(F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups))
        return x

    with torch.no_grad():
        check(network, (2, 2, 9, 14), tolerance=(1e-4, 1e-4))


def test_single_window_leaves_a_border_over():
    """Output 1 × 1 from an input that the stride does not divide."""

    def convolve(x, w, depth):
        return (F.conv2d(x, w, stride=2, padding=1), F.conv2d(x, w, stride=3, padding=2, dilation=2),
                F.conv2d(x, depth, stride=2, padding=1, groups=4),
                F.conv1d(x[:, :, 0], depth[:, :, 0], stride=2, padding=1, groups=4))  # fmt: skip

    check(convolve, (2, 4, 2, 2), (6, 4, 3, 3), (4, 1, 3, 3))


def test_conv1d_and_conv3d():
    check(lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), (2, 3, 17), (5, 3, 3), (5,))
    check(lambda x, w: F.conv1d(x, w, groups=3), (2, 3, 17), (3, 1, 4))
    check(lambda x, w, b: F.conv3d(x, w, b, padding=1), (1, 2, 4, 5, 6), (3, 2, 3, 3, 3), (3,))


def test_transposed():
    def grow(x, w, b):
        return (F.conv_transpose2d(x, w, b), F.conv_transpose2d(x, w, stride=2, padding=1),
                F.conv_transpose2d(x, w, b, stride=3, output_padding=1))  # fmt: skip

    check(grow, (2, 3, 5, 6), (3, 4, 3, 3), (4,))


def test_empty_batch():
    check(lambda x, w, b: F.conv2d(x, w, b), (0, 3, 9, 9), (5, 3, 3, 3), (5,))


def test_half_precision():
    check(lambda x, w: F.conv2d(x, w, padding=1), (1, 3, 8, 8), (5, 3, 3, 3), dtype=torch.bfloat16)


def test_chain_of_whole_and_partial_panels():
    """Layouts meet: normalization, residual, pool and border between convolutions."""

    def block(x, w, scale, shift):
        y = F.relu(F.conv2d(x, w, padding=1) * scale + shift)
        y = F.max_pool2d(F.relu(F.conv2d(y, w, padding=2, dilation=2) + y), 3, 2, 1)
        return y, F.conv2d(y, w, stride=2).mean((2, 3))

    for channels, images in ((40, 1), (32, 2)):
        per_channel = (1, channels, 1, 1)
        shapes = (images, channels, 19, 21), (channels, channels, 3, 3), per_channel, per_channel
        check(block, *shapes, tolerance=(2e-4, 2e-4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [5, 16, 48, 100])
def test_depthwise_windows(channels, dtype):
    """Blocks of positions, whole and not, of all strides and dilations, with what follows them."""

    def convolve(x, w3, w5, w4, bias):
        return (F.relu6(F.conv2d(x, w3, bias, padding=1, groups=channels)),
                F.conv2d(x, w3, stride=2, padding=1, groups=channels),
                F.gelu(F.conv2d(x, w3, bias, dilation=(1, 2), groups=channels)) + 1,
                F.conv2d(x, w5, stride=(1, 3), padding=(2, 4), groups=channels),
                F.conv2d(x[..., :6], w4, bias, groups=channels).mean(1),
                F.conv1d(x[0, :, :1, :].transpose(0, 1), w3[:, :, 0], bias, groups=channels))  # fmt: skip

    weights = [(channels, 1, 3, 3), (channels, 1, 5, 5), (channels, 1, 1, 4), (channels,)]
    for width in (7, 19):
        check(convolve, (2, channels, 9, width), *weights, dtype=dtype)


def test_depthwise_of_dynamic_images():
    weight = torch.nn.Parameter(torch.randn(40, 1, 3, 3))
    for dtype in (torch.float32, torch.bfloat16):
        fn = torch.compile(
            lambda x: F.relu(F.conv2d(x, weight.to(x.dtype), padding=1, groups=40)),
            backend="buddy", fullgraph=True, dynamic=True,
        )  # fmt: skip
        for shape in ((2, 40, 9, 8), (3, 40, 5, 31), (5, 40, 12, 3)):
            x = torch.randn(shape).to(dtype)
            with torch.no_grad():
                expected = F.relu(F.conv2d(x, weight.to(dtype), padding=1, groups=40))
                torch.testing.assert_close(fn(x), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lines_between_convolutions(dtype):
    """Convolutions along one dimension, whose results stay channels last."""

    def network(x, w, v, positions):
        y = F.gelu(F.conv1d(F.gelu(F.conv1d(x, w, padding=1)), v, stride=2, padding=1))
        return y.transpose(1, 2) + positions, y

    check(network, (2, 12, 30), (40, 12, 3), (24, 40, 3), (15, 24), dtype=dtype)


def test_depthwise_channels_last():
    def separable(x, depth, point):
        y = F.gelu(F.conv2d(x, point))
        y = F.conv2d(y, depth, padding=3, groups=depth.shape[0])
        return F.conv2d(y, depth, stride=2, groups=depth.shape[0]), y + x

    check(separable, (2, 24, 17, 15), (24, 1, 7, 7), (24, 24, 1, 1), tolerance=(1e-4, 1e-4))


def test_bfloat16_pairs():
    def convolve(x, w):
        return F.conv2d(x, w), F.conv2d(x, w, dilation=(1, 2)), F.conv2d(x[:, :, 1:], w, stride=2)

    for channels in (16, 5):
        check(convolve, (1, channels, 9, 12), (33, channels, 3, 3), dtype=torch.bfloat16)


@pytest.mark.parametrize("channels,size", [(3, 7), (3, 2), (5, 3), (1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_bfloat16_of_odd_runs(channels, size, dilation):
    """The last element of a run has no partner; its neighbour in memory is another's."""

    def convolve(x, w):
        return F.conv2d(x, w, dilation=dilation), F.conv2d(x, w, stride=2, dilation=dilation)

    image = torch.randn(2, channels, 23, 24).bfloat16()
    weight = (torch.randn(40, channels, size, size) / size).bfloat16()
    parameter = torch.nn.Parameter(weight, requires_grad=False)
    check(convolve, image, weight)
    check(lambda x: convolve(x, parameter), image)
    # Eager's library makes more NaNs than there are in bf16: f64 tells which there should be.
    image[:, :, 11, 13] = torch.nan
    actual = torch.compile(convolve, backend="buddy", fullgraph=True)(image, weight)
    for a, b in zip(actual, convolve(image.double(), weight.double())):
        assert torch.equal(a.isnan(), b.isnan())


def test_grouped_transposed_and_volumes():
    def convolve(x, w):
        return (F.conv_transpose2d(x, w, groups=2), F.conv_transpose2d(x, w, None, 2, 1, 1, 2),
                F.conv_transpose2d(x, w, None, 1, 3))  # fmt: skip

    check(convolve, (2, 4, 5, 6), (4, 3, 3, 3), tolerance=(1e-4, 1e-4))
    check(
        lambda x, w: F.conv3d(x, w, groups=2),
        (1, 4, 4, 5, 6),
        (6, 2, 2, 3, 3),
        tolerance=(1e-4, 1e-4),
    )
    check(
        lambda x, w: F.conv3d(x, w, stride=2),
        (1, 2, 4, 4, 4),
        (3, 2, 3, 3, 3),
        tolerance=(1e-4, 1e-4),
    )


TRANSPOSED = [  # stride, padding, output padding, dilation
    (2, 1, 1, 1),  # phases of several taps
    ((3, 2), 0, (2, 0), 1),  # of unequal numbers
    (4, 0, 1, 1),  # of none
    (2, 2, 0, (2, 3)),  # whose taps are not neighbours
    (1, 4, 0, 2),  # a border below zero
]


@pytest.mark.parametrize(("stride", "padding", "more", "dilation"), TRANSPOSED)
@pytest.mark.parametrize("groups", [1, 2])
def test_phases_of_transposed(stride, padding, more, dilation, groups):
    def grow(x, w):
        return F.conv_transpose2d(x, w, None, stride, padding, more, groups, dilation)

    check(grow, (2, 32, 6, 7), (32, 64 // groups, 3, 3), tolerance=(1e-4, 1e-4))
