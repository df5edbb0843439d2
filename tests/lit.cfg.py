# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lit over tests/midend and tests/backend; build/tests/lit.site.cfg.py loads it."""

import os

import lit.formats

config.name = "buddy"
config.test_format = lit.formats.ShTest(execute_external=False)
config.test_source_root = os.path.dirname(__file__)
config.suffixes = [".mlir"]
# Outputs and files that lit itself makes stand beside these when the two roots coincide.
config.excludes = ["Inputs", "Output"]
config.environment["PATH"] = os.pathsep.join([config.buddy_tools, os.environ["PATH"]])
config.substitutions.append(("%host_features", "--features=host"))
config.substitutions.append((r"\bFileCheck\b", config.filecheck))
# lit's own `not` inverts exit statuses (`not --crash` too), so LLVM's is not needed.
