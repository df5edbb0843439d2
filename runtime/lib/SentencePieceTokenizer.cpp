// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "SentencePieceTokenizer.h"
#include "buddy/runtime/Error.h"

#if BUDDY_HAVE_SENTENCEPIECE

#include "AddedTokens.h"
#include "buddy/runtime/Utf8.h"

#include <sentencepiece_processor.h>

using namespace buddy::runtime;

namespace {

const char spaceMark[] = "\xE2\x96\x81"; // U+2581, how pieces write a space

class SentencePieceTokenizer : public Tokenizer {
public:
  explicit SentencePieceTokenizer(const std::string &path) : special({}) {
    auto status = processor.Load(path);
    if (!status.ok())
      throw ModelError(path, "is not a SentencePiece model: " + status.ToString());
    std::vector<AddedToken> controls;
    for (int id = 0; id < processor.GetPieceSize(); ++id) {
      tokenBytes.push_back(bytesOf(id));
      if (processor.IsControl(id))
        controls.push_back({id, processor.IdToPiece(id), /*special=*/true});
    }
    special = AddedTokens(std::move(controls));
    std::vector<int> probe = processor.EncodeAsIds("a");
    dummyPrefix = !probe.empty() && bytes(probe.front()).substr(0, 1) == " ";
  }

  std::vector<TokenId> encode(std::string_view text) const override {
    std::string valid = sanitizeUtf8(text);
    std::vector<TokenId> ids;
    for (const AddedTokens::Part &part : special.split(valid)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      std::vector<int> pieces = processor.EncodeAsIds(std::string(part.text));
      ids.insert(ids.end(), pieces.begin(), pieces.end());
    }
    return ids;
  }

  std::string_view bytes(TokenId id) const override {
    return id >= 0 && id < size() ? std::string_view(tokenBytes[id]) : std::string_view();
  }
  bool stripsLeadingSpace() const override { return dummyPrefix; }
  int64_t size() const override { return static_cast<int64_t>(tokenBytes.size()); }

private:
  std::string bytesOf(int id) const {
    if (processor.IsControl(id) || processor.IsUnknown(id))
      return "";
    std::string piece = processor.IdToPiece(id);
    if (processor.IsByte(id)) // spelled <0xAB>
      return std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    for (size_t at; (at = piece.find(spaceMark)) != std::string::npos;)
      piece.replace(at, sizeof(spaceMark) - 1, " ");
    return piece;
  }

  sentencepiece::SentencePieceProcessor processor;
  AddedTokens special; // control tokens, which the library itself does not find in text
  std::vector<std::string> tokenBytes;
  bool dummyPrefix = false;
};

} // namespace

std::unique_ptr<Tokenizer> buddy::runtime::openSentencePiece(const std::string &path) {
  return std::make_unique<SentencePieceTokenizer>(path);
}

#else

std::unique_ptr<buddy::runtime::Tokenizer>
buddy::runtime::openSentencePiece(const std::string &path) {
  throw ModelError(path, "needs SentencePiece, and this build has no SentencePiece; install "
                         "libsentencepiece-dev and build Buddy again");
}

#endif
