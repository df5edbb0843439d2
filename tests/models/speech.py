# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Speech and sound: encoders of waveforms and spectrograms."""

import functools

import torch
from registry import VOCABULARY, Inputs, hugging_face, ids, waveform

row = functools.partial(hugging_face, "speech")

WAVE = dict(
    vocab_size=32,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    conv_dim=(16, 16, 16),
    conv_kernel=(8, 3, 3),
    conv_stride=(4, 2, 2),
    num_feat_extract_layers=3,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
)
ENCODER_FRAMES = 16


def whisper(batch: int, length: int) -> Inputs:
    """A spectrogram of the one length that Whisper takes, and the decoder's ids."""
    features = torch.randn(batch, 16, 2 * ENCODER_FRAMES)
    return {"input_features": features, "decoder_input_ids": ids(batch, length)}


def frames(batch: int, length: int) -> Inputs:
    return {"input_features": torch.randn(batch, length, 16), "decoder_input_ids": ids(batch, 6)}


def spectrogram(batch: int, length: int) -> Inputs:
    return {"input_values": torch.randn(batch, length, 16)}


SPEECH = [
    row(
        "whisper",
        "WhisperForConditionalGeneration",
        inputs=whisper,
        config=dict(
            vocab_size=VOCABULARY,
            num_mel_bins=16,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_source_positions=ENCODER_FRAMES,
            max_target_positions=32,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=3,
            suppress_tokens=None,
            begin_suppress_tokens=None,
        ),
        generates=True,
    ),
    row("wav2vec2", "Wav2Vec2ForCTC", inputs=waveform, config=WAVE, size=400, step=40),
    row("hubert", "HubertForCTC", inputs=waveform, config=WAVE, size=400, step=40),
    row("wavlm", "WavLMForCTC", inputs=waveform, config=WAVE, size=400, step=40),
    row(
        "speech_to_text",
        "Speech2TextForConditionalGeneration",
        inputs=frames,
        config=dict(
            vocab_size=VOCABULARY,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            conv_channels=16,
            input_feat_per_channel=16,
            max_source_positions=64,
            max_target_positions=32,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
        ),
        size=32,
        step=4,
        generates=True,
    ),
    row(
        "audio_spectrogram_transformer",
        "ASTForAudioClassification",
        inputs=spectrogram,
        config=dict(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            patch_size=8,
            frequency_stride=4,
            time_stride=4,
            max_length=32,
            num_mel_bins=16,
        ),
        size=32,
        fixed_size="position embeddings are of one grid of patches",
    ),
]
