# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Networks of convolutions of groups and of volumes, which transformers does not have."""

from __future__ import annotations

from torch import nn


class Convolution(nn.Sequential):
    """A convolution, batch norm and, unless it ends a block, ReLU."""

    def __init__(self, convolution: type, *sizes, ends: bool = False, **keywords):
        norm = nn.BatchNorm3d if convolution is nn.Conv3d else nn.BatchNorm2d
        layer = convolution(*sizes, bias=False, **keywords)
        super().__init__(layer, norm(layer.out_channels), nn.Identity() if ends else nn.ReLU())


class Residual(nn.Module):
    """`body` beside a shortcut, which is projected where the shape changes."""

    def __init__(
        self, body: nn.Module, convolution: type, channels: int, filters: int, stride: int
    ):
        super().__init__()
        self.body, self.relu, self.shortcut = body, nn.ReLU(), nn.Identity()
        if channels != filters or stride != 1:
            self.shortcut = Convolution(convolution, channels, filters, 1, stride, ends=True)

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def resnext50(classes: int) -> nn.Module:
    """ResNeXt-50 32x4d (Xie et al., Aggregated Residual Transformations, 2017)."""
    layers: list[nn.Module] = [
        Convolution(nn.Conv2d, 3, 64, 7, 2, 3),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width, filters = 128 << stage, 256 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            body = nn.Sequential(
                Convolution(nn.Conv2d, channels, width, 1),
                Convolution(nn.Conv2d, width, width, 3, stride, 1, groups=32),
                Convolution(nn.Conv2d, width, filters, 1, ends=True),
            )
            layers.append(Residual(body, nn.Conv2d, channels, filters, stride))
            channels = filters
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


def r3d18(classes: int) -> nn.Module:
    """R3D-18 (Tran et al., A Closer Look at Spatiotemporal Convolutions, 2018)."""
    layers: list[nn.Module] = [
        Convolution(nn.Conv3d, 3, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3))
    ]
    channels = 64
    for stage in range(4):
        filters = 64 << stage
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            body = nn.Sequential(
                Convolution(nn.Conv3d, channels, filters, 3, stride, 1),
                Convolution(nn.Conv3d, filters, filters, 3, 1, 1, ends=True),
            )
            layers.append(Residual(body, nn.Conv3d, channels, filters, stride))
            channels = filters
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(channels, classes)
    )
