# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Make the package of an image classifier: python make_package.py WEIGHTS LABELS PACKAGE

WEIGHTS is EfficientNet-Lite0's checkpoint, LABELS a JSON list of its classes. The program
takes any image as it comes from a file, u8 [height, width, 3], so that whoever calls it need not
know how this model wants its pixels.
"""

import json
import sys
from pathlib import Path

import buddy
import torch
import torch.nn.functional as F
from efficientnet import IMAGE_SIZE, load_checkpoint
from torch import nn
from torch.export import Dim


class ImageClassifier(nn.Module):
    """u8 [height, width, 3] → the probabilities of the classes, f32 [classes]."""

    def __init__(self, model: nn.Module, size: int = IMAGE_SIZE):
        super().__init__()
        self.model, self.size = model, size

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        pixels = image.permute(2, 0, 1)[None].float() / 127.5 - 1
        pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear")
        return {"probabilities": self.model(pixels)[0].softmax(-1)}


def export_classifier(model: nn.Module, size: int = IMAGE_SIZE) -> torch.export.ExportedProgram:
    """`model` ([N, 3, size, size] → logits) for images of any size."""
    image = torch.zeros(300, 400, 3, dtype=torch.uint8)
    sizes = {0: Dim("height", min=2), 1: Dim("width", min=2)}
    classifier = ImageClassifier(model, size).eval()
    return torch.export.export(classifier, (image,), dynamic_shapes={"image": sizes})


def main() -> None:
    weights, labels, package = map(Path, sys.argv[1:4])
    buddy.compile_package(export_classifier(load_checkpoint(weights)), package)
    (package / "labels.txt").write_text("\n".join(json.loads(labels.read_text())) + "\n")


if __name__ == "__main__":
    main()
