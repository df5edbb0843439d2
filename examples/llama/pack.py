# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Step 3: put weights, tokenizer and manifest beside the compiled model.so.

python pack.py MODEL PACKAGE MAX_SEQ_LEN
"""

import sys
from pathlib import Path

from buddy.llm.model import load_model
from buddy.llm.package import complete_package
from buddy.packaging.directory import Report

model, package, max_seq_len = sys.argv[1:4]
complete_package(Path(package), load_model(model), int(max_seq_len), Report(Path(package)))
