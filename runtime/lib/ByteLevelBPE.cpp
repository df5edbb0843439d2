// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ByteLevelBPE.h"
#include "buddy/runtime/Utf8.h"

#include <algorithm>
#include <queue>

using namespace buddy::runtime;

static constexpr TokenId missing = -1;

ByteAlphabet::ByteAlphabet() {
  // Bytes that are printable in Latin-1 stand for themselves, the others follow from U+0100 on.
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    char32_t character = printable ? static_cast<char32_t>(byte) : next++;
    appendUtf8(spelling[byte], character);
    byteOf[character] = static_cast<uint8_t>(byte);
  }
}

std::string ByteAlphabet::spell(std::string_view bytes) const {
  std::string text;
  for (char byte : bytes)
    text += spell(static_cast<uint8_t>(byte));
  return text;
}

std::string ByteAlphabet::bytesOf(std::string_view token) const {
  std::string bytes;
  for (std::string_view rest = token; !rest.empty();) {
    Utf8Step step = readUtf8(rest);
    auto found = byteOf.find(step.codePoint);
    if (step.kind != Utf8Step::Valid || found == byteOf.end())
      return std::string(token);
    bytes.push_back(static_cast<char>(found->second));
    rest.remove_prefix(step.length);
  }
  return bytes;
}

ByteLevelBPE::ByteLevelBPE(ByteLevelVocabulary list)
    : vocabulary(std::move(list)), added(vocabulary.added) {
  TokenId last = missing;
  for (const auto &[token, id] : vocabulary.ids)
    last = std::max(last, id);
  for (const AddedToken &token : added.all())
    last = std::max(last, token.id);
  tokenBytes.resize(last + 1);
  for (const auto &[token, id] : vocabulary.ids)
    tokenBytes[id] = alphabet.bytesOf(token);
  for (const AddedToken &token : added.all())
    tokenBytes[token.id] = token.special ? "" : alphabet.bytesOf(token.content);
  for (int byte = 0; byte < 256; ++byte) {
    auto found = vocabulary.ids.find(alphabet.spell(static_cast<uint8_t>(byte)));
    byteIds[byte] = found == vocabulary.ids.end() ? missing : found->second;
  }
}

std::string_view ByteLevelBPE::bytes(TokenId id) const {
  return id >= 0 && id < size() ? std::string_view(tokenBytes[id]) : std::string_view();
}

std::vector<TokenId> ByteLevelBPE::encode(std::string_view text) const {
  std::string valid = sanitizeUtf8(text);
  std::vector<TokenId> ids;
  for (const AddedTokens::Part &part : added.split(valid)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    for (const std::string &piece : vocabulary.preTokenizer.apply(part.text))
      encodePiece(piece, ids);
  }
  return ids;
}

void ByteLevelBPE::encodePiece(std::string_view piece, std::vector<TokenId> &ids) const {
  if (vocabulary.ignoreMerges) {
    auto whole = vocabulary.ids.find(alphabet.spell(piece));
    if (whole != vocabulary.ids.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  mergeBytes(piece, ids);
}

namespace {

/// A token of a piece while it is merged: a doubly linked list in an array.
struct Symbol {
  TokenId id;
  int previous, next; // -1: none
  bool gone = false;  // merged into its left neighbour
};

/// Two neighbours that may merge.
struct Pair {
  int64_t rank;
  int position; // of the left one
  TokenId result;

  /// For a heap whose top is the lowest rank, and of those the leftmost.
  bool operator<(const Pair &other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

/// Applies the merges of lowest rank first, in O(n log n). A pair in the heap goes stale when a
/// neighbour merges; it is recognized by no longer leading to the same token.
class Merger {
public:
  Merger(const ByteLevelVocabulary &vocabulary, std::vector<Symbol> &symbols)
      : vocabulary(vocabulary), symbols(symbols) {}

  void run() {
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      offer(static_cast<int>(i));
    while (!heap.empty()) {
      Pair pair = heap.top();
      heap.pop();
      const ByteLevelVocabulary::Merge *merge = mergeAt(pair.position);
      if (!merge || merge->result != pair.result)
        continue;
      join(pair.position, pair.result);
    }
  }

private:
  const ByteLevelVocabulary::Merge *mergeAt(int left) const {
    if (symbols[left].gone || symbols[left].next < 0)
      return nullptr;
    auto found = vocabulary.merges.find(
        ByteLevelVocabulary::pair(symbols[left].id, symbols[symbols[left].next].id));
    return found == vocabulary.merges.end() ? nullptr : &found->second;
  }

  void offer(int left) {
    if (left < 0)
      return;
    if (const ByteLevelVocabulary::Merge *merge = mergeAt(left))
      heap.push({merge->rank, left, merge->result});
  }

  void join(int left, TokenId result) {
    Symbol &symbol = symbols[left];
    Symbol &right = symbols[symbol.next];
    right.gone = true;
    symbol.id = result;
    symbol.next = right.next;
    if (symbol.next >= 0)
      symbols[symbol.next].previous = left;
    offer(symbol.previous);
    offer(left);
  }

  const ByteLevelVocabulary &vocabulary;
  std::vector<Symbol> &symbols;
  std::priority_queue<Pair> heap;
};

} // namespace

void ByteLevelBPE::mergeBytes(std::string_view piece, std::vector<TokenId> &ids) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (char byte : piece) {
    TokenId id = byteIds[static_cast<uint8_t>(byte)];
    if (id == missing)
      continue; // as Hugging Face: a byte outside the vocabulary leaves no token
    int position = static_cast<int>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  }
  if (symbols.empty())
    return;
  symbols.back().next = -1;
  Merger(vocabulary, symbols).run();
  for (int i = 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}
