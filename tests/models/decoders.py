# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoders: dense, mixtures of experts, state spaces and recurrences."""

import functools

from registry import VOCABULARY, hugging_face, text

row = functools.partial(hugging_face, "decoder", inputs=text, generates=True)
experts = functools.partial(hugging_face, "mixture of experts", inputs=text, generates=True)
recurrent = functools.partial(hugging_face, "state space", inputs=text, generates=True)

TOKENS = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)
TINY = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    **TOKENS,
)
GROUPED = dict(TINY, num_key_value_heads=2)
HEADS_OF_8 = dict(GROUPED, head_dim=8)
GPT2 = dict(
    vocab_size=VOCABULARY,
    n_embd=32,
    n_layer=2,
    n_head=4,
    n_positions=64,
    **TOKENS,
)
MIXTURE = dict(HEADS_OF_8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24)

DECODERS = [
    row("llama", "LlamaForCausalLM", config=GROUPED),
    row("mistral", "MistralForCausalLM", config=dict(GROUPED, sliding_window=6)),
    row("qwen2", "Qwen2ForCausalLM", config=GROUPED),
    row("qwen3", "Qwen3ForCausalLM", config=HEADS_OF_8),
    row("gemma", "GemmaForCausalLM", config=HEADS_OF_8),
    row("gemma2", "Gemma2ForCausalLM", config=dict(HEADS_OF_8, sliding_window=6)),
    row("gemma3", "Gemma3ForCausalLM", config=dict(HEADS_OF_8, sliding_window=6)),
    row("phi", "PhiForCausalLM", config=TINY),
    row("phi3", "Phi3ForCausalLM", config=GROUPED),
    row("gpt2", "GPT2LMHeadModel", config=GPT2),
    row(
        "gpt_neo",
        "GPTNeoForCausalLM",
        config=dict(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=6,
            max_position_embeddings=64,
            **TOKENS,
        ),
    ),
    row("gpt_neox", "GPTNeoXForCausalLM", config=TINY),
    row("gptj", "GPTJForCausalLM", config=dict(GPT2, rotary_dim=4)),
    row("codegen", "CodeGenForCausalLM", config=dict(GPT2, rotary_dim=4)),
    row(
        "opt",
        "OPTForCausalLM",
        config=dict(
            vocab_size=VOCABULARY,
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            word_embed_proj_dim=32,
            **TOKENS,
        ),
    ),
    row(
        "bloom",
        "BloomForCausalLM",
        config=dict(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4),
    ),
    row("falcon", "FalconForCausalLM", config=dict(TINY, new_decoder_architecture=False)),
    row("stablelm", "StableLmForCausalLM", config=GROUPED),
    row("starcoder2", "Starcoder2ForCausalLM", config=GROUPED),
    row("olmo2", "Olmo2ForCausalLM", config=GROUPED),
    row("cohere", "CohereForCausalLM", config=GROUPED),
    row(
        "mpt",
        "MptForCausalLM",
        config=dict(
            vocab_size=VOCABULARY,
            d_model=32,
            n_heads=4,
            n_layers=2,
            max_seq_len=64,
        ),
    ),
]

EXPERTS = [
    experts(
        "mixtral",
        "MixtralForCausalLM",
        config=dict(GROUPED, num_local_experts=4, num_experts_per_tok=2),
    ),
    experts(
        "qwen2_moe",
        "Qwen2MoeForCausalLM",
        config=dict(MIXTURE, shared_expert_intermediate_size=24),
    ),
    experts("qwen3_moe", "Qwen3MoeForCausalLM", config=MIXTURE),
    experts("olmoe", "OlmoeForCausalLM", config=MIXTURE),
    experts(
        "deepseek_v3",
        "DeepseekV3ForCausalLM",
        config=dict(
            TINY,
            moe_intermediate_size=24,
            n_routed_experts=4,
            num_experts_per_tok=2,
            n_group=2,
            topk_group=1,
            first_k_dense_replace=1,
            q_lora_rank=16,
            kv_lora_rank=16,
            qk_rope_head_dim=4,
            qk_nope_head_dim=4,
            v_head_dim=8,
        ),
    ),
    experts(
        "gpt_oss",
        "GptOssForCausalLM",
        config=dict(HEADS_OF_8, num_local_experts=4, num_experts_per_tok=2, sliding_window=6),
    ),
]

STATE_SPACES = [
    recurrent(
        "mamba",
        "MambaForCausalLM",
        config=dict(
            vocab_size=VOCABULARY, hidden_size=32, state_size=8, num_hidden_layers=2, **TOKENS
        ),
    ),
    recurrent(
        "mamba2",
        "Mamba2ForCausalLM",
        config=dict(
            vocab_size=VOCABULARY,
            hidden_size=32,
            state_size=8,
            num_hidden_layers=2,
            num_heads=8,
            head_dim=8,
            n_groups=2,
            chunk_size=8,
            **TOKENS,
        ),
    ),
    recurrent(
        "falcon_mamba",
        "FalconMambaForCausalLM",
        config=dict(
            vocab_size=VOCABULARY, hidden_size=32, state_size=8, num_hidden_layers=2, **TOKENS
        ),
    ),
    recurrent(
        "jamba",
        "JambaForCausalLM",
        config=dict(
            GROUPED,
            num_experts=2,
            num_experts_per_tok=1,
            attn_layer_period=2,
            attn_layer_offset=1,
            expert_layer_period=2,
            expert_layer_offset=1,
            mamba_d_state=8,
            mamba_dt_rank=4,
            use_mamba_kernels=False,
        ),
    ),
    recurrent(
        "recurrent_gemma",
        "RecurrentGemmaForCausalLM",
        config=dict(
            HEADS_OF_8,
            lru_width=32,
            attention_window_size=8,
            block_types=("recurrent", "attention"),
        ),
    ),
    recurrent(
        "rwkv",
        "RwkvForCausalLM",
        config=dict(
            vocab_size=VOCABULARY,
            context_length=64,
            hidden_size=32,
            num_hidden_layers=2,
            bos_token_id=1,
            eos_token_id=2,
        ),
    ),
]
