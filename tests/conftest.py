# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all Python tests share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory):
    """A cache of this session's own, unless the caller brings one."""
    if "BUDDY_CACHE_DIR" not in os.environ:
        os.environ["BUDDY_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
