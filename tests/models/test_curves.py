# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training for 200 steps: the loss of each step stays within 2e-4 of eager's, in f32.

Without dropout; weights, data and their order come from the same seeds. The steps are small enough
for eager itself to follow its f64 run: the network is at most 6e-5 apart for six seeds. Where training
is chaotic no two roundings follow each other: at 1e-3 an element of a pool or a ReLU that goes the
other way takes the network's eager run up to 1e-3 from f64, SGD with momentum at 0.05 half of the
loss.
"""

import buddy
import pytest
import torch
from torch import nn
from torch.nn import functional as F

STEPS = 200
TOLERANCE = 2e-4
CLASSES = 10
VOCABULARY, LENGTH = 64, 16


class Network(nn.Module):
    """Images [N, 3, 16, 16] → scores [N, classes]: convolutions, batch norm, a pool."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, CLASSES),
        )

    def forward(self, images):
        return self.layers(images)


class LanguageModel(nn.Module):
    """Token ids [N, T] → scores of the next token [N, T, vocabulary]."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(LENGTH, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, ids):
        length = ids.shape[1]
        x = self.tokens(ids) + self.positions.weight[:length]
        unseen = torch.ones(length, length, dtype=torch.bool).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=unseen)
        return self.head(self.norm(x))


def image_batches():
    """One clear pattern per class, with noise."""
    source = torch.Generator().manual_seed(1)
    patterns = torch.randn(CLASSES, 3, 16, 16, generator=source)
    for _ in range(STEPS):
        labels = torch.randint(0, CLASSES, (16,), generator=source)
        yield 8 * patterns[labels] + torch.randn(16, 3, 16, 16, generator=source), labels


def text_batches():
    """Sequences in which each token follows from the one before, with some noise."""
    source = torch.Generator().manual_seed(1)
    follower = torch.randperm(VOCABULARY, generator=source)
    for _ in range(STEPS):
        ids = torch.randint(0, VOCABULARY, (8, 1), generator=source)
        for _ in range(LENGTH):
            noise = torch.randint(0, VOCABULARY, (8, 1), generator=source)
            is_noise = torch.rand(8, 1, generator=source) < 0.1
            ids = torch.cat([ids, torch.where(is_noise, noise, follower[ids[:, -1:]])], dim=1)
        yield ids[:, :-1], ids[:, 1:]


def losses(build, batches, rate: float, seed: int, compiled: bool) -> list[float]:
    torch.manual_seed(seed)
    model = build()
    step = torch.optim.AdamW(model.parameters(), lr=rate)
    run = torch.compile(model, backend="buddy", fullgraph=True) if compiled else model
    curve = []
    for inputs, labels in batches():
        step.zero_grad()
        loss = F.cross_entropy(run(inputs).flatten(0, -2), labels.flatten())
        loss.backward()
        step.step()
        curve.append(loss.item())
    return curve


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "build, batches, rate",
    [(Network, image_batches, 3e-4), (LanguageModel, text_batches, 1e-3)],
    ids=["network", "transformer"],
)
def test_loss_follows_eager(build, batches, rate, seed):
    expected = losses(build, batches, rate, seed, compiled=False)
    actual = losses(build, batches, rate, seed, compiled=True)
    apart = [abs(a - b) / abs(b) for a, b in zip(actual, expected)]
    assert max(apart) <= TOLERANCE, f"step {apart.index(max(apart))}"
    assert expected[-1] < 0.7 * expected[0], "the run learns nothing: it would prove nothing"
    assert buddy.stats()["fallback_ops"] == {}
