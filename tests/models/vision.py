# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Vision: transformers over patches and windows, convolutional networks, segmentation, detection."""

import functools

from registry import hugging_face, image
from unet import UNET

row = functools.partial(hugging_face, "vision", inputs=image, size=32)

VIT = dict(
    image_size=32,
    patch_size=8,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
)
GRID = "position embeddings are of one grid of patches"

VISION = [
    row("vit", "ViTForImageClassification", config=VIT, fixed_size=GRID),
    row("deit", "DeiTForImageClassification", config=VIT, fixed_size=GRID),
    row("dinov2", "Dinov2ForImageClassification", config=dict(VIT, mlp_ratio=2), step=8),
    row(
        "beit",
        "BeitForImageClassification",
        config=dict(VIT, use_relative_position_bias=True),
        fixed_size=GRID,
    ),
    row(
        "swin",
        "SwinForImageClassification",
        config=dict(
            image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4
        ),
        step=16,
    ),
    row(
        "swinv2",
        "Swinv2ForImageClassification",
        config=dict(
            image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4
        ),
        step=16,
    ),
    row(
        "convnext",
        "ConvNextForImageClassification",
        config=dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
        step=32,
    ),
    row(
        "convnextv2",
        "ConvNextV2ForImageClassification",
        config=dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
        step=32,
    ),
    row(
        "resnet",
        "ResNetForImageClassification",
        config=dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="bottleneck"),
        step=8,
    ),
    row(
        "mobilenet_v2",
        "MobileNetV2ForImageClassification",
        config=dict(image_size=96, depth_multiplier=0.25, last_hidden_size=32),
        size=96,  # smaller, and batch norm of two values makes eager's own gradients a tenth off
        step=32,
    ),
    row(
        "efficientnet",
        "EfficientNetForImageClassification",
        config=dict(
            image_size=32,
            width_coefficient=0.1,
            depth_coefficient=0.25,
            hidden_dim=128,
        ),
        step=32,
    ),
    row(
        "regnet",
        "RegNetForImageClassification",
        config=dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], groups_width=4),
        step=8,
    ),
    row(
        "mobilevit",
        "MobileViTForImageClassification",
        config=dict(
            image_size=32,
            hidden_sizes=[16, 24, 32],
            neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
            num_attention_heads=4,
        ),
        step=32,
    ),
    row(
        "segformer",
        "SegformerForSemanticSegmentation",
        config=dict(
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[8, 16],
            patch_sizes=[7, 3],
            strides=[4, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
            decoder_hidden_size=16,
        ),
        step=8,
    ),
    row(
        "poolformer",
        "PoolFormerForImageClassification",
        config=dict(
            depths=[1, 1],
            num_encoder_blocks=2,
            hidden_sizes=[8, 16],
            patch_sizes=[7, 3],
            strides=[4, 2],
            padding=[2, 1],
        ),
        step=8,
    ),
    row(
        "yolos",
        "YolosForObjectDetection",
        config=dict(
            VIT, image_size=[32, 32], num_detection_tokens=4, use_mid_position_embeddings=False
        ),
        step=8,
    ),
    UNET,
]
