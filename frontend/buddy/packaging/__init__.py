# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Packages on the disk: their directory and their weights, whatever they hold."""
