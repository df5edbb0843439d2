# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Encoders and encoder-decoders of text."""

import functools

from registry import VOCABULARY, hugging_face, masked_text, text, text_to_text

row = functools.partial(hugging_face, "encoder", inputs=masked_text)
pair = functools.partial(hugging_face, "encoder-decoder", inputs=text_to_text, generates=True)

TINY = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    pad_token_id=0,
)
BART = dict(
    vocab_size=VOCABULARY,
    d_model=32,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=48,
    decoder_ffn_dim=48,
    max_position_embeddings=64,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=2,
)
T5 = dict(
    vocab_size=VOCABULARY,
    d_model=32,
    d_kv=8,
    d_ff=48,
    num_layers=2,
    num_heads=4,
    pad_token_id=0,
    eos_token_id=1,
    decoder_start_token_id=0,
)

ENCODERS = [
    row("bert", "BertForMaskedLM", config=TINY),
    row("roberta", "RobertaForMaskedLM", config=TINY),
    row(
        "distilbert",
        "DistilBertForMaskedLM",
        config=dict(vocab_size=VOCABULARY, dim=32, hidden_dim=48, n_layers=2, n_heads=4),
    ),
    row("albert", "AlbertForMaskedLM", config=dict(TINY, embedding_size=16)),
    row("electra", "ElectraForMaskedLM", config=dict(TINY, embedding_size=16)),
    row(
        "deberta",
        "DebertaForMaskedLM",
        config=dict(TINY, relative_attention=True, pos_att_type=["c2p", "p2c"]),
    ),
    row(
        "deberta_v2",
        "DebertaV2ForMaskedLM",
        config=dict(
            TINY,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=8,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
        ),
    ),
    row("mpnet", "MPNetForMaskedLM", config=TINY),
    row(
        "modernbert",
        "ModernBertForMaskedLM",
        config=dict(TINY, local_attention=8, global_attn_every_n_layers=2),
    ),
    row(
        "fnet",
        "FNetForMaskedLM",
        inputs=text,
        config=TINY,
        eager=(
            "aten._to_copy.default",
            "aten._fft_c2c.default",
            "aten.view_as_real.default",
            "aten.view_as_complex.default",
        ),
    ),
    row(
        "xlnet",
        "XLNetLMHeadModel",
        config=dict(vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=4, d_inner=48),
    ),
    row("convbert", "ConvBertForMaskedLM", config=dict(TINY, embedding_size=16)),
    row("roformer", "RoFormerForMaskedLM", config=dict(TINY, embedding_size=32)),
    row(
        "longformer",
        "LongformerForMaskedLM",
        config=dict(TINY, attention_window=4),
        size=12,
        step=4,
    ),
]

ENCODER_DECODERS = [
    pair("t5", "T5ForConditionalGeneration", config=T5),
    pair("bart", "BartForConditionalGeneration", config=BART),
    pair("marian", "MarianMTModel", config=dict(BART, decoder_vocab_size=VOCABULARY)),
    pair("m2m_100", "M2M100ForConditionalGeneration", config=BART),
    pair("pegasus", "PegasusForConditionalGeneration", config=BART),
    pair(
        "switch_transformers",
        "SwitchTransformersForConditionalGeneration",
        eager=("aten.uniform.default",),  # noise of the router, drawn also if it is times 1
        config=dict(
            T5,
            num_decoder_layers=2,
            num_experts=2,
            num_sparse_encoder_layers=1,
            num_sparse_decoder_layers=1,
        ),
    ),
]
