# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""TOSA counterparts of the linalg lowerings, for `dialect="tosa"`."""
