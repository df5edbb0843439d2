# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of text with images."""

import functools

import torch
from registry import VOCABULARY, Inputs, hugging_face, ids

row = functools.partial(hugging_face, "multimodal")

SIDE, PATCH = 16, 8
IMAGE_TOKEN = 3
TEXT = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
VISION = dict(
    image_size=SIDE,
    patch_size=PATCH,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
)
TWO_TOWERS = dict(text_config=TEXT, vision_config=VISION, projection_dim=16)


def captioned(batch: int, length: int) -> Inputs:
    """Texts, and one image for each."""
    return {
        "input_ids": ids(batch, length),
        "pixel_values": torch.randn(batch, 3, SIDE, SIDE),
    }


def embedded(batch: int, length: int) -> Inputs:
    """Texts whose first ids stand for the patches of an image."""
    inputs = captioned(batch, length)
    inputs["input_ids"][:, : (SIDE // PATCH) ** 2] = IMAGE_TOKEN
    return inputs


def prefixed(batch: int, length: int) -> Inputs:
    """`embedded` with the image as a prefix, which is attended to from everywhere."""
    inputs = embedded(batch, length)
    inputs["token_type_ids"] = (inputs["input_ids"] != IMAGE_TOKEN).to(torch.int64)
    return inputs


MULTIMODAL = [
    row("clip", "CLIPModel", inputs=captioned, config=TWO_TOWERS),
    row(
        "siglip",
        "SiglipModel",
        inputs=captioned,
        config=dict(text_config=TEXT, vision_config=VISION),
    ),
    row("chinese_clip", "ChineseCLIPModel", inputs=captioned, config=TWO_TOWERS),
    row(
        "blip",
        "BlipForConditionalGeneration",
        inputs=captioned,
        config=dict(TWO_TOWERS, text_config=dict(TEXT, encoder_hidden_size=32)),
    ),
    row(
        "vilt", "ViltModel", inputs=captioned, config=dict(TEXT, image_size=SIDE, patch_size=PATCH)
    ),
    row(
        "llava",
        "LlavaForConditionalGeneration",
        inputs=embedded,
        config=dict(
            text_config=dict(TEXT, model_type="llama"),
            vision_config=dict(VISION, model_type="clip_vision_model"),
            image_token_index=IMAGE_TOKEN,
            vision_feature_select_strategy="default",
            vision_feature_layer=-1,
        ),
        generates=True,
    ),
    row(
        "paligemma",
        "PaliGemmaForConditionalGeneration",
        inputs=prefixed,
        config=dict(
            text_config=dict(TEXT, model_type="gemma", num_key_value_heads=2, head_dim=8),
            vision_config=dict(VISION, model_type="siglip_vision_model"),
            image_token_index=IMAGE_TOKEN,
            projection_dim=32,
        ),
        generates=True,
    ),
    row(
        "git",
        "GitForCausalLM",
        inputs=captioned,
        config=dict(TEXT, vision_config=VISION),
        generates=True,
    ),
]
