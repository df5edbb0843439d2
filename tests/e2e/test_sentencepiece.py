# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SentencePiece vocabularies: a trained model taken apart, written again, and compared."""

import io

import pytest
from buddy.llm.sentencepiece_file import serialize
from tiny_models import CORPUS

sentencepiece = pytest.importorskip("sentencepiece")
TEXTS = [*CORPUS, "", " leading", "two  spaces", "line\nbreak", "🙂 unseen ✨"]


@pytest.mark.parametrize("prefix", [True, False])
def test_written_model_encodes_like_the_original(prefix):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20), model_writer=out, vocab_size=380, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=prefix, minloglevel=2,
    )  # fmt: skip
    original = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    count = original.get_piece_size()
    kinds = [kind(original, index) for index in range(count)]
    data = serialize(
        [original.id_to_piece(index) for index in range(count)],
        [original.get_score(index) for index in range(count)],
        kinds,
        prefix,
    )
    written = sentencepiece.SentencePieceProcessor(model_proto=data)
    for text in TEXTS:
        assert written.encode(text) == original.encode(text)
        assert written.decode(written.encode(text)) == original.decode(original.encode(text))


def kind(model, index: int) -> int:
    """SentencePiece.Type of a piece."""
    tests = {2: model.is_unknown, 3: model.is_control, 5: model.is_unused, 6: model.is_byte}
    return next((number for number, test in tests.items() if test(index)), 1)
