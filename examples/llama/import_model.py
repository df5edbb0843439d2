# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Step 1: capture a model and write its graph as MLIR bytecode. No weight is read.

python import_model.py MODEL OUT.mlirbc MAX_SEQ_LEN
"""

import sys
from pathlib import Path

from buddy.llm.capture import capture
from buddy.llm.model import load_model
from buddy.llm.package import import_module

model, output, max_seq_len = sys.argv[1:4]
loaded = load_model(model)
captured = capture(loaded.module, int(max_seq_len))
Path(output).write_bytes(import_module(captured))
