# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/image_classifier: the native program prints the class that eager gives."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import buddy
import pytest
import torch
from native_builds import build_example
from torch import nn

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "image_classifier"
MODEL, LABELS, PICTURE = (
    ROOT / "build" / "models" / name
    for name in ("efficientnet-lite0.pth", "imagenet-labels.json", "cat-picture.png")
)


@pytest.fixture(scope="module")
def classify(tmp_path_factory):
    """Run the example's executable: `classify(package, picture)`."""
    executable = build_example(EXAMPLE, tmp_path_factory.mktemp("build"), "classify")

    def run(package: Path, picture: Path, status: int = 0) -> str:
        command = [str(executable), str(package), str(picture)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    return run


def write_png(path: Path, image: torch.Tensor) -> None:
    """u8 [height, width, 3] as an uncompressed PNG."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in image)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.slow
def test_small_model_and_damage(classify, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLE)
    from make_package import ImageClassifier, export_classifier

    model = nn.Sequential(nn.Conv2d(3, 6, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    model = nn.Sequential(*model, nn.Linear(24, 7)).eval()
    package = tmp_path / "package"
    buddy.compile_package(export_classifier(model, size=32), package)
    (package / "labels.txt").write_text("".join(f"thing {i}\n" for i in range(7)))
    for height, width in ((40, 31), (20, 64)):
        image = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
        write_png(tmp_path / "image.png", image)
        expected = ImageClassifier(model, 32)(image)["probabilities"]
        first = classify(package, tmp_path / "image.png").splitlines()[0]
        assert first.endswith(f"thing {int(expected.argmax())}")
        assert abs(float(first.split()[0]) - 100 * float(expected.max())) < 0.06
    assert "nowhere.png: " in classify(package, tmp_path / "nowhere.png", 1)
    library = package / "model.so"
    library.write_bytes(library.read_bytes()[:1000])
    assert "model.so: is truncated" in classify(package, tmp_path / "image.png", 1)


@pytest.mark.slow
def test_a_picture_of_a_cat(classify, tmp_path):
    if not all(path.exists() for path in (MODEL, LABELS, PICTURE)):
        pytest.skip("no image model: run `make image-model` once")
    command = [sys.executable, "make_package.py", MODEL, LABELS, tmp_path / "package"]
    subprocess.run(command, cwd=EXAMPLE, check=True, timeout=900)
    lines = classify(tmp_path / "package", PICTURE).splitlines()
    assert lines[0].endswith("Egyptian Mau"), lines
    assert any(line.endswith("tabby cat") for line in lines[:3]), lines
