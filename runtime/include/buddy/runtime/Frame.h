// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_FRAME_H
#define BUDDY_RUNTIME_FRAME_H

#include "buddy/runtime/Library.h"
#include "buddy/runtime/Weights.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace buddy::runtime {

/// The arguments of one call of an entry point: a descriptor per memref, a word per symbol, laid
/// out once. Binding an argument writes a few words, so a frame whose weights are bound can be
/// called again and again for the cost of its inputs. A frame serves one thread at a time; copies
/// are independent. The entry's library must outlive it, and buffers stay their owners'.
class Frame {
public:
  /// Nothing is bound yet.
  explicit Frame(const EntryPoint &entry);
  Frame(const Frame &other);
  Frame &operator=(const Frame &) = delete;

  const Signature &signature() const { return *entry.signature; }
  size_t size() const { return slots.size(); }
  bool isBound(size_t index) const { return slots[index].bound; }

  /// Points argument `index` at a contiguous row-major buffer. Throws ArgumentError when there is
  /// no such memref, or rank or a static size differs.
  void bind(size_t index, void *data, const int64_t *shape, size_t rank);
  void bind(size_t index, void *data, const Shape &shape) {
    bind(index, data, shape.data(), shape.size());
  }

  /// Points argument `index` at its tensor in a package's weights, or nowhere if it is never read.
  void bindWeight(size_t index, const Weights &weights);

  /// Sets symbol `index`.
  void bindSymbol(size_t index, int64_t value);

  /// The position of an argument; throws ArgumentError when there is none of that name.
  size_t indexOf(std::string_view name) const;

  /// Bytes the workspace needs for the graph arguments bound now, which must be all of them.
  int64_t workspaceSize() const;

  /// Runs the entry point. Everything must be bound; throws ArgumentError naming what is not.
  void invoke() const;

private:
  struct Slot {
    size_t word; // where its descriptor starts in `words`
    bool bound;
  };

  void layOut();
  void checkShape(const Argument &argument, const int64_t *shape, size_t rank) const;
  void requireBound(size_t count) const;

  EntryPoint entry;
  std::vector<Slot> slots;
  std::vector<int64_t> words;   // descriptors and symbols, one after another
  std::vector<void *> pointers; // into words, what the ABI takes
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_FRAME_H
