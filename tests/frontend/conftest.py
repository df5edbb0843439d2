# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixtures of the frontend's tests, and the record of which lowerings they exercised."""

from __future__ import annotations

import os

import buddy
import pytest
import torch
from buddy import lowering

EXERCISED: set = set()

if "buddy" not in torch._dynamo.list_backends(exclude_tags=None):
    # A checkout that is not installed has no entry point.
    from buddy.backend import buddy as backend

    torch._dynamo.register_backend(backend, name="buddy")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """A cache of this session's own, unless the caller brings one."""
    if "BUDDY_CACHE_DIR" not in os.environ:
        os.environ["BUDDY_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def fresh_dynamo():
    """No test sees graphs or counters of another one."""
    torch._dynamo.reset()
    buddy.reset()
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def recorder():
    """Note every overload that is lowered while the tests run."""
    from buddy import importer
    from buddy.lowering import functionalized, registry

    def noting(op, dialect="linalg"):
        EXERCISED.add((dialect if op in lowering.LOWERINGS[dialect] else "linalg", op))
        return registry.find(op, dialect)

    importer.find = functionalized.find = noting
    yield
    importer.find = functionalized.find = registry.find


def pytest_sessionfinish(session, exitstatus):
    """A lowering without a numeric test fails the session, where the whole directory ran."""
    whole = {str(item.path) for item in session.items}
    here = {str(p) for p in session.config.rootpath.glob("tests/frontend/test_*.py")}
    if exitstatus != 0 or not here <= whole or session.config.getoption("keyword"):
        return
    known = {(d, op) for d, table in lowering.LOWERINGS.items() for op in table}
    missing = sorted(f"{d}: {op}" for d, op in known - EXERCISED)
    if missing:
        print("\nno numeric test exercised these lowerings:", *missing, sep="\n  ")
        session.exitstatus = 1
