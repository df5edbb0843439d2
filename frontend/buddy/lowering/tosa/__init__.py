# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""TOSA counterparts of the linalg lowerings, for `dialect="tosa"`.

A counterpart serves static shapes of TOSA's own types; for everything else, as for ops without
one, the linalg lowering of the same overload is taken, and counted.
"""

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
)
