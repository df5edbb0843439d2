# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A UNet as diffusion models have it: residual blocks that see the time step, attention to a text."""

import math

import torch
from registry import Architecture, Inputs
from torch import nn
from torch.nn import functional as F

CONTEXT_WIDTH = 12


class ResidualBlock(nn.Module):
    """[N, C, H, W] and the time [N, D] → [N, C', H, W]."""

    def __init__(self, channels: int, out_channels: int, time_width: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(4, channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time_width, out_channels)
        self.norm2 = nn.GroupNorm(4, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(time))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """Queries [N, T, C] attend to the context [N, L, D], or to themselves."""

    def __init__(self, channels: int, context_width: int, heads: int = 2):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(context_width, channels, bias=False)
        self.value = nn.Linear(context_width, channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x, context=None):
        context = x if context is None else context
        q, k, v = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y in (self.query(x), self.key(context), self.value(context))
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention to itself, to the context, and a gated layer, over the pixels of an image."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels, eps=1e-6)
        self.enter = nn.Conv2d(channels, channels, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.itself = Attention(channels, channels)
        self.context = Attention(channels, CONTEXT_WIDTH)
        self.gated = nn.Linear(channels, 8 * channels)
        self.out = nn.Linear(4 * channels, channels)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x, context):
        n, c, height, width = x.shape
        y = self.enter(self.norm(x)).permute(0, 2, 3, 1).reshape(n, height * width, c)
        y = y + self.itself(self.norms[0](y))
        y = y + self.context(self.norms[1](y), context)
        value, gate = self.gated(self.norms[2](y)).chunk(2, dim=-1)
        y = y + self.out(value * F.gelu(gate))
        y = y.reshape(n, height, width, c).permute(0, 3, 1, 2)
        return x + self.leave(y)


class UNet(nn.Module):
    """Two resolutions; what goes down is seen again on the way up."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.channels = channels
        width = 4 * channels
        self.time = nn.Sequential(nn.Linear(channels, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(4, channels, 3, padding=1)
        self.down1 = ResidualBlock(channels, channels, width)
        self.attend1 = TransformerBlock(channels)
        self.shrink = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.down2 = ResidualBlock(channels, 2 * channels, width)
        self.middle1 = ResidualBlock(2 * channels, 2 * channels, width)
        self.attend2 = TransformerBlock(2 * channels)
        self.middle2 = ResidualBlock(2 * channels, 2 * channels, width)
        self.grow = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.up = ResidualBlock(3 * channels, channels, width)
        self.attend3 = TransformerBlock(channels)
        self.norm = nn.GroupNorm(4, channels)
        self.leave = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, sample, timestep, encoder_hidden_states):
        time = self.time(time_embedding(timestep, self.channels))
        first = self.down1(self.enter(sample), time)
        first = self.attend1(first, encoder_hidden_states)
        x = self.down2(self.shrink(first), time)
        x = self.middle1(x, time)
        x = self.middle2(self.attend2(x, encoder_hidden_states), time)
        x = self.grow(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = self.up(torch.cat([x, first], dim=1), time)
        x = self.attend3(x, encoder_hidden_states)
        return self.leave(F.silu(self.norm(x)))


def time_embedding(timestep: torch.Tensor, width: int) -> torch.Tensor:
    """Cosines and sines of the time steps [N] at falling frequencies: [N, width]."""
    steps = torch.arange(width // 2, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10000) * steps / (width // 2))
    angles = timestep[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def noisy_latents(batch: int, side: int) -> Inputs:
    return {
        "sample": torch.randn(batch, 4, side, side),
        "timestep": torch.randint(0, 1000, (batch,)),
        "encoder_hidden_states": torch.randn(batch, 7, CONTEXT_WIDTH),
    }


UNET = Architecture("diffusion_unet", "diffusion", UNet, noisy_latents, size=16, step=2)
