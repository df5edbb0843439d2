# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules of the source tree. Needs no build; each message says what to do."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMES = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
FILES = [ROOT / name for name in NAMES if (ROOT / name).is_file()]
CPP = [f for f in FILES if f.suffix in {".cpp", ".h", ".c"}]
PYTHON = [f for f in FILES if f.suffix == ".py"]
TD = (ROOT / "midend/include/buddy/Passes.td").read_text()
PASSES = re.findall(r"^def (\w+)Pass\b", TD, re.M)
# "file" over 400 lines or "file:function" over 60 -> a reason that a reviewer can repeat.
LONG: dict[str, str] = {}


def matches(pattern, files):
    return [
        f"{f.relative_to(ROOT)}: {m[0]}"
        for f in files
        for m in re.finditer(pattern, f.read_text(), re.M)
    ]


def sizes(path):
    """Lines of the file and of each function: Python's exactly, C++'s by the indent of braces."""
    name, text = str(path.relative_to(ROOT)), path.read_text()
    yield name, text.count("\n"), 400
    if path.suffix == ".py":
        defs = [
            n
            for n in ast.walk(ast.parse(text))
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        yield from ((f"{name}:{n.name}", n.end_lineno - n.lineno + 1, 60) for n in defs)
        return
    head = r"^( {0,2})[\w:<>~*&,\[\] ]*?([\w~:]+)\([^;{}]*\)[^;{}()]*\{\n(?:.*\n)*?\1\}"
    yield from ((f"{name}:{m[2]}", m[0].count("\n") + 1, 60) for m in re.finditer(head, text, re.M))


def test_each_pass_has_its_source_and_its_lit_test():
    folder = [f for f in FILES if f.parent == ROOT / "midend/lib/Passes"]
    sources = {f.stem for f in folder} - {f.stem for f in folder if f.suffix == ".h"}
    assert sources == set(PASSES), "Passes.td `def XPass` and midend/lib/Passes/X.cpp go together"
    wanted = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower() + ".mlir" for name in PASSES}
    missing = wanted - {f.name for f in FILES if f.parent == ROOT / "tests/midend"}
    assert not missing, f"write the pass's lit test in tests/midend: {sorted(missing)}"


def test_passes_are_described_in_alphabetical_order():
    assert PASSES == sorted(PASSES), "sort the records of Passes.td by name"
    summaries = re.findall(r'let summary =\s*"([^"]*)"', TD)
    assert len(summaries) == len(PASSES), "each pass has one summary"
    assert all(len(s.split()) >= 4 for s in summaries), "a summary is a sentence"
    assert not matches(r"PassWrapper<", CPP), "declare passes in Passes.td"


def test_pass_order_stands_in_pipelines_alone():
    elsewhere = [f for f in CPP if "midend/lib/Pipelines" not in str(f)]
    found = matches(r"createConvertToLLVMPass|createFinalizeMemRefToLLVM|addNestedPass<", elsewhere)
    assert not found, f"only midend/lib/Pipelines orders passes: {found}"
    opt = (ROOT / "midend/tools/buddy-opt/buddy-opt.cpp").read_text()
    assert opt.count("\n") < 30, "buddy-opt only registers: move the rest to midend/lib"


def test_package_reads_the_environment_in_knobs_and_never_prints():
    package = [f for f in PYTHON if "frontend" in f.relative_to(ROOT).parts[:1]]
    assert not matches(r"\bprint\(", package), "use logging, or typer.echo in cli.py"
    found = matches(r"os\.environ|os\.getenv", [f for f in package if f.name != "knobs.py"])
    assert not found, f"declare the variable in knobs.py: {found}"
    assert not matches(r"^from \S+ import \*", PYTHON), "import names, not stars"
    knobs = set(re.findall(r"BUDDY_\w+", (ROOT / "frontend/buddy/knobs.py").read_text()))
    unknown = {knob for knob in knobs if knob not in (ROOT / "README.md").read_text()}
    assert not unknown, f"README's debugging table names every variable: {unknown}"


def test_files_and_functions_are_short():
    long = [
        f"{n} ({c})" for f in CPP + PYTHON for n, c, most in sizes(f) if c > most and n not in LONG
    ]
    assert not long, f"over 400 (file) or 60 lines (function): split by idea: {long}"


def test_tree_is_small_and_fits_every_machine():
    big = [str(f) for f in FILES if f.stat().st_size > 200_000]
    assert not big, f"over 200 kB: fetch or generate it: {big}"
    text = [
        f for f in FILES if f.suffix not in {".png", ".mlirbc", ".model"} and f != Path(__file__)
    ]
    found = matches(r"(?<![\w.])/(?:work|farm|home|root)/\S*|python[h]osted|npm[j]s", text)
    assert not found, f"paths and hosts of one machine: {found}"
    code = (
        CPP
        + PYTHON
        + [f for f in FILES if f.suffix in {".td", ".sh"} or f.name == "CMakeLists.txt"]
    )
    bare = [f.name for f in code if "SPDX-License-Identifier: Apache-2.0 WITH" not in f.read_text()]
    assert not bare, f"start with the two SPDX lines: {bare}"
