# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""`torch.export` programs: compiled as callables and into packages."""
