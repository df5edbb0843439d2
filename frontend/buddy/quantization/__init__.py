# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Weights in compressed forms: reading GGUF files and expanding their blocks."""
