# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Write the tokenizers the tests use, and the ids Hugging Face and SentencePiece give.

python tests/runtime/data/make_fixtures.py      (needs tokenizers and sentencepiece)
"""

import io
import json
import pathlib

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent

CORPUS = [
    "The capital of France is Paris. What's the capital of Germany? It's Berlin.",
    "def add(first, second):\n    return first + second\n\n\nprint(add(1, 2))",
    "Les naïfs ægithales hâtifs pondant à Noël où il gèle. Ça va très bien, merci!",
    "日本語の文章と中国語的文章。한국어 문장도 있습니다.",
    "I'll say we've done it; they're sure I'd agree, don't you? 1234567890 2024-01-31",
] * 4

NASTY = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "tabs\tand\nnewlines\r\n\r\nand   runs    of spaces     ",
    "\n\n\n   \n\t\t x",
    "0123456789 3.14159 1,000,000 ٣٤٥ ½ Ⅷ",
    "don't DON'T I'll I'LL we've they're 's 'ſ",
    "日本語と한국어와中文，。！",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 😀😀",
    "e\u0301 \u00e9 n\u0303 \u1e69 s\u0323\u0307 नमस्ते",
    "\u00a0nbsp\u2003em\u200bzero\u3000ideographic\u0085next\u180emongolian\ufeff",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start<|im_start|>|> <|im_end|><|im_end|>",
    "a<sep>b <sep> c\t<sep>\n d",
    "the words wordy sword word, word_ word",
    "\x00\x01\x7f control",
    "a" * 300,
    "supercalifragilisticexpialidocious " * 3,
    "x = {'key': [1, 2.5e-3]}; // comment\n#include <stdio.h>",
    "مرحبا بالعالم שלום עולם",
    "\U0010ffff \ue000 \ufffd",
]

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PRE_TOKENIZERS = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    ),
    "gpt2-prefix": lambda: pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True),
    "llama3": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(GPT4), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
    "digit-runs": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}
for behavior in ("removed", "merged_with_previous", "merged_with_next", "contiguous"):
    PRE_TOKENIZERS[f"split-{behavior}"] = lambda behavior=behavior: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s|,"), behavior),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
PRE_TOKENIZERS["split-invert"] = lambda: pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True),
        pre_tokenizers.Split("o", "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)


def train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = PRE_TOKENIZERS["smollm"]()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(
        [
            AddedToken("<sep>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("word", single_word=True, normalized=False),
        ]
    )
    return tokenizer


def variant(tokenizer: Tokenizer, name: str) -> Tokenizer:
    """The same vocabulary behind another pre-tokenizer."""
    changed = Tokenizer.from_str(tokenizer.to_str())
    changed.pre_tokenizer = PRE_TOKENIZERS[name]()
    if name == "llama3":  # as Llama 3 does it
        data = json.loads(changed.to_str())
        data["model"]["ignore_merges"] = True
        changed = Tokenizer.from_str(json.dumps(data))
    return changed


def cases(tokenizer: Tokenizer) -> list[dict]:
    result = []
    for text in NASTY:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        result.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
    return result


def write_byte_bpe() -> None:
    tokenizer = train()
    data = json.loads(tokenizer.to_str())
    (HERE / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False) + "\n")
    expected = {}
    for name in PRE_TOKENIZERS:
        changed = variant(tokenizer, name)
        model = json.loads(changed.to_str())
        expected[name] = {
            "pre_tokenizer": model["pre_tokenizer"],
            "ignore_merges": model["model"].get("ignore_merges", False),
            "cases": cases(changed),
        }
    (HERE / "tokenizer_cases.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def write_sentencepiece() -> None:
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=writer,
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
    )
    model = writer.getvalue()
    (HERE / "tokenizer.model").write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    texts = [text for text in NASTY if "<|" not in text and "\x00" not in text]
    expected = []
    for text in texts:
        ids = processor.encode(text)
        expected.append({"text": text, "ids": ids, "decoded": processor.decode(ids)})
    (HERE / "sentencepiece_cases.json").write_text(
        json.dumps(expected, separators=(",", ":")) + "\n"
    )


if __name__ == "__main__":
    write_byte_bpe()
    write_sentencepiece()
