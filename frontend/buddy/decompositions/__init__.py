# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decompositions that torch does not have, in torch's own words, one module per family.

A function returns NotImplemented for arguments that it leaves to the op's lowering.
"""

from . import (  # noqa: F401
    antialias,
    attention,
    distances,
    embedding_bag,
    gradients,
    grid_sample,
    grouped,
    linear_algebra,
    numbers,
    orthogonal,
    random,
    selection,
    windows,
)
from .registry import OWN, TRAINING, foreign  # noqa: F401
