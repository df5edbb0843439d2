# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The end of `make demo`: one question to a compiled package, its answer and its speed."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

TOOLS = Path(sys.executable).parent


def buddy(*arguments: str) -> dict:
    command = [str(TOOLS / "buddy"), *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    if done.returncode:
        raise SystemExit(f"[demo] failed: {' '.join(command)}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    parser.add_argument("prompt")
    options = parser.parse_args()
    answer = buddy("run", options.package, "-p", options.prompt, "--temperature", "0")
    speed = buddy("bench", options.package, "-p", "128", "-n", "64", "--repeat", "2")
    manifest = json.loads((Path(options.package) / "manifest.json").read_text())
    compile_seconds = manifest.get("compile_seconds")
    print(f"\n  {options.prompt}\n  {answer['text'].strip()}\n")
    rows = {
        "prefill": f"{speed['prefill_tok_s']:.0f} tokens/s ({speed['prompt_tokens']} tokens)",
        "decode": f"{speed['decode_tok_s']:.1f} tokens/s ({speed['new_tokens']} tokens)",
        "time to first token": f"{speed['ttft_s'] * 1e3:.0f} ms",
        "load": f"{speed['load_s'] * 1e3:.0f} ms",
        "compile": f"{compile_seconds:.1f} s" if compile_seconds is not None else "not recorded",
        "threads": f"{speed['threads']}",
    }
    for name, value in rows.items():
        print(f"  {name:<20} {value}")


if __name__ == "__main__":
    main()
