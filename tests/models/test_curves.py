# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training for 200 steps: the loss of each step stays within 1e-3 of eager's, in f32.

Without dropout; weights, data and their order come from the same seeds. The steps are small enough
for eager itself to follow its f64 run (2e-6 apart); where training is chaotic (SGD with momentum at
0.05: half of the loss apart), no two roundings follow each other.
"""

import buddy
import pytest
import torch
from torch import nn
from torch.nn import functional as F

STEPS = 200
TOLERANCE = 1e-3
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
    """Noise around one pattern per class."""
    source = torch.Generator().manual_seed(1)
    patterns = torch.randn(CLASSES, 3, 16, 16, generator=source)
    for _ in range(STEPS):
        labels = torch.randint(0, CLASSES, (16,), generator=source)
        yield patterns[labels] + torch.randn(16, 3, 16, 16, generator=source), labels


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


def losses(build, batches, compiled: bool) -> list[float]:
    torch.manual_seed(0)
    model = build()
    step = torch.optim.AdamW(model.parameters(), lr=1e-3)
    run = torch.compile(model, backend="buddy", fullgraph=True) if compiled else model
    curve = []
    for inputs, labels in batches():
        step.zero_grad()
        loss = F.cross_entropy(run(inputs).flatten(0, -2), labels.flatten())
        loss.backward()
        step.step()
        curve.append(loss.item())
    return curve


@pytest.mark.parametrize(
    "build, batches",
    [(Network, image_batches), (LanguageModel, text_batches)],
    ids=["network", "transformer"],
)
def test_loss_follows_eager(build, batches):
    expected = losses(build, batches, compiled=False)
    actual = losses(build, batches, compiled=True)
    apart = [abs(a - b) / abs(b) for a, b in zip(actual, expected)]
    assert max(apart) <= TOLERANCE, f"step {apart.index(max(apart))}"
    assert expected[-1] < 0.7 * expected[0], "the run learns nothing: it would prove nothing"
    assert buddy.stats()["fallback_ops"] == {}
