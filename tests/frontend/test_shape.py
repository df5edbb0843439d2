# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops that move or view elements, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from checking import check

aten = torch.ops.aten


def test_views():
    def views(x):
        return (x.view(6, 20), x.reshape(-1), x.view(2, 3, 2, 2, 5), x.view(4, 6, 5), x[:, None],
                x.unsqueeze(-1), x.view(1, 24, 5, 1), x.flatten(1), x.squeeze(),
                x.view(2, 1, 3, 20).squeeze(1), x.permute(2, 0, 1), x.transpose(0, 2),
                x.permute(2, 0, 1).reshape(5, 6, 4), x.clone(), x[0].t(), x[0, 0],
                x.mT)  # fmt: skip

    check(lambda x: tuple(v + 1 for v in views(x)), (2, 12, 5))


def test_views_by_overload():
    def views(x):
        return (aten.squeeze.default(x), aten.squeeze.dim(x, 1), aten.squeeze.dims(x, [1, 2]),
                aten.t.default(x[0, 0]), aten.transpose.int(x, 0, 3), aten.alias(x), aten.detach(x),
                aten._unsafe_view(x, [4, 5]), aten.lift_fresh_copy(x))  # fmt: skip

    check(lambda x: tuple(v + 1 for v in views(x)), (4, 1, 1, 5))


def test_results_keep_strides():
    check(lambda x: (x.permute(1, 0, 2) + 1, x.t_() if x.dim() == 2 else x * 2), (3, 4, 5))
    check(lambda x: (x * 2).transpose(0, 1), (3, 4))
    check(lambda x: x, (3, 4))
    check(lambda x: (x, x, x + 1, x + 1), (3, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("channels", [2, 3, 4, 7, 8, 9])
def test_few_channels_come_last(channels, dtype):
    """Whole vectors, parts of one, rows that are shorter."""

    def last(x, row, short, scale):
        scaled = x.permute(0, 2, 1) * scale
        return x.mT.contiguous(), scaled.contiguous(), row.mT.contiguous(), short.mT.contiguous()

    shapes = (2, channels, 83), (channels, 16), (channels, 5), (channels,)
    check(last, *shapes, dtype=dtype)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (1, 1, 1)], ids=str)
def test_reshape_of_small_ones(shape):
    check(lambda x: (x.reshape(-1) + 1, x.unsqueeze(0) + 1, x.reshape(*shape, 1) * 2), shape)


def test_slices():
    def cut(x):
        return (x[1:3], x[:, 2:], x[:, -2:], x[..., ::2], x[1], x[-1], x[:, 1], x[..., -1],
                x[5:2], x[:100], x[2:3, 1::3], x.narrow(1, 2, 3), aten.select.int(x, 2, -3),
                aten.slice.Tensor(x, 1, -4, -1))  # fmt: skip

    check(lambda x: tuple(v + 1 for v in cut(x)), (4, 6, 7))


def test_splits():
    def split(x):
        return (*x.split(2, 1), *x.chunk(3, 1), *x.split([1, 0, 5], 1), *x.unbind(0),
                *aten.split.Tensor(x, 4, 1))  # fmt: skip

    check(lambda x: tuple(v + 1 for v in split(x)), (3, 6, 2))


def test_joins():
    def join(x, y, i):
        return (torch.cat([x, y], 1), torch.cat([x, x, y], -1), torch.stack([x, x]),
                torch.stack([x, x], 2), torch.cat([x, i], 1), torch.cat([x, y[:, :0]], 1),
                torch.cat([x]), torch.cat([x, x], 0), torch.cat([y[:, :0], y[:, :0]],
                1))  # fmt: skip

    check(join, (3, 4), (3, 1), torch.arange(6).view(3, 2))


def test_expand_and_repeat():
    def grow(x):
        return (x.expand(3, 4, 5), x.expand(2, 3, 4, 5), x.repeat(2, 1, 3), x.repeat(2, 2, 1, 1),
                x.tile(2), x.expand(-1, -1, 5) + 1, x.repeat_interleave(2, 1))  # fmt: skip

    check(lambda x: tuple(v + 1 for v in grow(x)), (3, 4, 1))


def test_pads_and_flips():
    def pad(x):
        return (F.pad(x, (1, 2)), F.pad(x, (1, 2, 0, 3), value=1.5), F.pad(x, (-1, 2)),
                F.pad(x, (0, 0, -1, -1)), x.flip(0), x.flip((0, 1)), x.roll(1, 0))  # fmt: skip

    check(pad, (4, 5))
    check(lambda x: F.pad(x, (1, 1), value=True), (3,), dtype=torch.bool)
    check(lambda x: aten.as_strided(x + 1, [5, 4], [4, 1]), (5, 4))
