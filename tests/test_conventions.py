# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rules of the source tree. Needs no build; each message says what to do."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
FILES = [ROOT / name for name in FILES if (ROOT / name).is_file()]
CPP = [f for f in FILES if f.suffix in {".cpp", ".h", ".c"}]
PYTHON = [f for f in FILES if f.suffix == ".py"]
SOURCES = CPP + PYTHON + [f for f in FILES if f.suffix == ".td" or f.name == "CMakeLists.txt"]
TD = (ROOT / "midend/include/buddy/Passes.td").read_text()
PASSES = re.findall(r"^def (\w+)Pass\b", TD, re.M)
# Files over 400 lines or functions over 60 that have a reason a reviewer can repeat.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def kebab(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def matches(pattern, files):
    found = re.compile(pattern, re.M)
    return [f"{f.relative_to(ROOT)}: {m[0]}" for f in files for m in found.finditer(f.read_text())]


def functions(path):
    """(name, lines) of each function; C++ by braces of definitions that start in column 0-2."""
    text = path.read_text()
    if path.suffix == ".py":
        defs = (ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, defs):
                yield node.name, node.end_lineno - node.lineno + 1
        return
    pattern = r"^( {0,2})[\w:<>~*&,\[\] ]*?([\w~:]+)\([^;{}]*\)[^;{}()]*\{\n(?:.*\n)*?\1\}"
    for match in re.finditer(pattern, text, re.M):
        yield match[2], match[0].count("\n") + 1


def test_each_pass_has_its_source_and_its_lit_test():
    folder = [f for f in FILES if f.parent == ROOT / "midend/lib/Passes"]
    helpers = {f.stem for f in folder if f.suffix == ".h"}
    sources = {f.stem for f in folder if f.suffix == ".cpp"} - helpers
    assert sources == set(PASSES), "Passes.td `def XPass` and midend/lib/Passes/X.cpp go together"
    tests = {f.stem for f in FILES if f.parent == ROOT / "tests/midend"}
    missing = [f"{p}: tests/midend/{kebab(p)}.mlir" for p in PASSES if kebab(p) not in tests]
    assert not missing, f"write the pass's lit test: {missing}"


def test_passes_are_described_in_alphabetical_order():
    assert PASSES == sorted(PASSES), "sort the records of Passes.td by name"
    summaries = re.findall(r'let summary = "([^"]*)"', TD)
    assert len(summaries) == len(PASSES), "each pass has one summary"
    assert not [s for s in summaries if len(s.split()) < 4], "a summary is a sentence"
    assert not matches(r"PassWrapper<", CPP), "declare passes in Passes.td"


def test_pass_order_stands_in_pipelines_alone():
    elsewhere = [f for f in CPP if "midend/lib/Pipelines" not in str(f)]
    found = matches(r"createConvertToLLVMPass|createFinalizeMemRefToLLVM|\.addNestedPass<", elsewhere)
    assert not found, f"only midend/lib/Pipelines orders passes: {found}"
    opt = (ROOT / "midend/tools/buddy-opt/buddy-opt.cpp").read_text()
    assert opt.count("\n") < 30, "buddy-opt only registers: move the rest to midend/lib"


def test_package_reads_the_environment_in_knobs_and_never_prints():
    package = [f for f in PYTHON if "frontend" in f.parts]
    assert not matches(r"\bprint\(", package), "use logging, or rich in cli.py"
    rest = [f for f in package if f.name != "knobs.py"]
    assert not matches(r"os\.environ|os\.getenv", rest), "declare the variable in knobs.py"
    assert not matches(r"^from \S+ import \*", PYTHON), "import names, not stars"


def test_files_and_functions_are_short():
    files = {str(f.relative_to(ROOT)): f.read_text().count("\n") for f in CPP + PYTHON}
    long = [f"{n} ({c})" for n, c in files.items() if c > 400 and n not in LONG_FILES]
    assert not long, f"over 400 lines: split by idea: {long}"
    sizes = [(f"{f.relative_to(ROOT)}:{name}", n) for f in CPP + PYTHON for name, n in functions(f)]
    long = [f"{n} ({c})" for n, c in sizes if c > 60 and n not in LONG_FUNCTIONS]
    assert not long, f"over 60 lines: name the steps: {long}"


def test_tree_is_small_and_fits_every_machine():
    big = [str(f) for f in FILES if f.stat().st_size > 200_000]
    assert not big, f"over 200 kB: fetch it with tools/ instead: {big}"
    text = [f for f in FILES if f.suffix not in {".png", ".mlirbc"} and f.name != "test_conventions.py"]
    found = matches(r"(?<![\w.])/(?:work|farm|home|root)/\S*|pythonhosted|npmjs", text)
    assert not found, f"paths and hosts of one machine: {found}"
    bare = [f.name for f in SOURCES if "SPDX-License-Identifier: Apache-2.0 WITH" not in f.read_text()]
    assert not bare, f"start with the two SPDX lines: {bare}"
