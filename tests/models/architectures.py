# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of architectures: each a tiny random model of a published kind."""

from decoders import DECODERS, EXPERTS, STATE_SPACES
from encoders import ENCODER_DECODERS, ENCODERS
from multimodal import MULTIMODAL
from speech import SPEECH
from vision import VISION

ARCHITECTURES = [
    *DECODERS,
    *EXPERTS,
    *STATE_SPACES,
    *ENCODERS,
    *ENCODER_DECODERS,
    *VISION,
    *SPEECH,
    *MULTIMODAL,
]
