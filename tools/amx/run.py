# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Run products in AMX's tiles on an emulated Sapphire Rapids: tools/amx/README.md."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILER = HERE.parents[1] / "build" / "bin" / "buddy-compile"
BOOT_FILES = ("ISOLINUX/isolinux.bin", "syslinux/modules/bios/ldlinux.c32",
              "syslinux/modules/bios/libcom32.c32", "syslinux/modules/bios/mboot.c32")  # fmt: skip
FREESTANDING = ("-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-mno-red-zone")

BOCHSRC = """
display_library: rfb, options="timeout=0"
cpu: model=sapphire_rapids, ips=100000000, reset_on_triple_fault=0
memory: guest=64, host=64
romimage: file={root}/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file={root}/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={work}/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={work}/serial.txt
log: {work}/bochs.log
panic: action=fatal
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", type=Path, default=COMPILER, help="buddy-compile")
    parser.add_argument("--bochs", default="bochs-bin", help="Bochs 3.0, and its arguments")
    parser.add_argument("--root", default="", help="where the BIOS and isolinux are installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        build(work, options)
        (work / "bochsrc").write_text(BOCHSRC.format(root=options.root, work=work))
        command = [*options.bochs.split(), "-q", "-f", str(work / "bochsrc")]
        bochs = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True)
        serial = work / "serial.txt"
        said = serial.read_text() if serial.exists() else bochs.stdout + bochs.stderr
    print(said, end="")
    return 0 if said.endswith("PASSED\n") else 1


def build(work: Path, options: argparse.Namespace) -> None:
    """A CD that boots the compiled products and main.c."""
    features = "sapphirerapids"
    run(options.compiler, HERE / "products.mlir", f"--features={features}", "--emit=obj",
        "-o", work / "products.o")  # fmt: skip
    for source in ("boot.S", "main.c"):
        run("gcc", "-c", *FREESTANDING, HERE / source, "-o", work / f"{source}.o")
    objects = [work / name for name in ("boot.S.o", "main.c.o", "products.o")]
    run(
        "ld",
        "-nostdlib",
        "-static",
        "--no-warn-rwx-segments",
        "-T",
        HERE / "link.ld",
        "-o",
        work / "long.elf",
        *objects,
    )
    disk = work / "disk"
    disk.mkdir()
    # Multiboot takes 32-bit files.
    run("objcopy", "-O", "elf32-i386", work / "long.elf", disk / "products.elf")
    for name in BOOT_FILES:
        source = Path(f"{options.root}/usr/lib") / name
        (disk / source.name).write_bytes(source.read_bytes())
    (disk / "isolinux.cfg").write_text(
        "default products\nlabel products\nkernel mboot.c32\nappend products.elf\n"
    )
    run("xorriso", "-as", "mkisofs", "-quiet", "-o", work / "boot.iso", "-b", "isolinux.bin", "-c",
        "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", disk)  # fmt: skip


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
