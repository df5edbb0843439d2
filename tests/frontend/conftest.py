# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixtures of the frontend's tests, and the record of which overloads they exercised."""

from __future__ import annotations

import json

import buddy
import pytest
import torch
from buddy import lowering
from buddy.decompositions import OWN, TRAINING
from buddy.recording import recording

EXERCISED: dict = {}  # (dialect or "decomposed", overload) -> the test files that compile it
CURRENT = [""]  # the file of the running test

if "buddy" not in torch._dynamo.list_backends(exclude_tags=None):
    # A checkout that is not installed has no entry point.
    from buddy.backend import buddy as backend

    torch._dynamo.register_backend(backend, name="buddy")


@pytest.fixture(autouse=True)
def fresh_dynamo(request, own_cache):
    """No test sees graphs or counters of another one."""
    CURRENT[0] = request.path.name
    torch._dynamo.reset()
    buddy.reset()
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def recorder():
    """Note every overload that is lowered or decomposed while the tests run."""

    def note(how, op):
        EXERCISED.setdefault((how, op), set()).add(CURRENT[0])

    with recording(note):
        yield


def pytest_sessionfinish(session, exitstatus):
    """What no numeric test compiles fails the session, where the whole directory ran."""
    whole = {str(item.path) for item in session.items}
    here = {str(p) for p in session.config.rootpath.glob("tests/frontend/test_*.py")}
    if exitstatus != 0 or not here <= whole or session.config.getoption("keyword"):
        return
    _write_exercised(session.config.rootpath / "build" / "exercised.json")
    known = {(d, op) for d, table in lowering.LOWERINGS.items() for op in table}
    known |= {("decomposed", op) for op in OWN | TRAINING}
    missing = sorted(f"{how}: {op}" for how, op in known - EXERCISED.keys())
    if missing:
        print("\nno numeric test exercised these:", *missing, sep="\n  ")
        session.exitstatus = 1


def _write_exercised(path):
    """For tools/coverage.py: the test files of each overload."""
    if path.parent.is_dir():
        by_op: dict[str, set] = {}
        for (how, op), files in EXERCISED.items():
            if how in ("linalg", "decomposed"):
                by_op.setdefault(str(op), set()).update(files)
        path.write_text(json.dumps({op: sorted(by_op[op]) for op in sorted(by_op)}, indent=1))
