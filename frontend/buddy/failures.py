# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What compiled functions find out: they return a number, the number stands for a message, and
the message for the error that eager raises."""

from __future__ import annotations

import torch

from .errors import BuddyError, OutOfRangeError


class LinearAlgebraError(BuddyError, torch.linalg.LinAlgError):
    """A matrix that cannot be factored as it was asked for: which op, and where."""

    subject = "linear algebra failed"


def failed_check(message: str) -> BuddyError:
    """The error for a message; its subject stands at the beginning."""
    kinds = (OutOfRangeError, LinearAlgebraError)
    return next(kind for kind in kinds if message.startswith(kind.subject))(message)
