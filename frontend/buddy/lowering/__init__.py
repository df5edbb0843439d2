# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lowerings of Aten ops, one module per family; importing the package fills the registry."""

from . import (  # noqa: F401
    attention,
    conv,
    elementwise,
    factory,
    indexing,
    matmul,
    normalization,
    pool,
    reduction,
    shape,
    tosa,
)
from .registry import LOWERINGS, find  # noqa: F401
