// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_MEMREF_H
#define BUDDY_RUNTIME_MEMREF_H

#include "buddy/runtime/ModelABI.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <new>

namespace buddy::runtime {

/// The next multiple of bufferAlignment.
constexpr int64_t alignUp(int64_t bytes) {
  return (bytes + bufferAlignment - 1) & -bufferAlignment;
}

/// A contiguous row-major tensor of rank N, laid out as compiled code takes it. It either owns its
/// memory (64-byte aligned, zeroed) or views memory of someone else, which must then outlive it.
/// Moving is free; copying elements is only ever said aloud, by Copy(). Beside MappedFile this is
/// the one class of the runtime that owns memory of tensors.
template <typename T, int N> class MemRef {
public:
  using Sizes = std::array<int64_t, N>;

  /// Owns zeroed memory. Large blocks come as untouched pages of the kernel: they cost nothing
  /// until they are written.
  explicit MemRef(const Sizes &sizes) : MemRef(allocate(sizes), sizes) { owning = true; }

  /// Views `data`, which the caller keeps alive.
  static MemRef view(T *data, const Sizes &sizes) { return MemRef({data, data}, sizes); }

  MemRef(MemRef &&other) noexcept { swap(other); }
  MemRef &operator=(MemRef &&other) noexcept {
    swap(other);
    return *this;
  }
  ~MemRef() {
    if (owning)
      std::free(const_cast<std::remove_const_t<T> *>(fields.allocated));
  }

  /// An owning tensor with the same elements.
  MemRef Copy() const {
    MemRef copy(sizes());
    std::copy(begin(), end(), copy.begin());
    return copy;
  }

  bool ownsMemory() const { return owning; }
  T *data() const { return fields.aligned; }
  T *begin() const { return data(); }
  T *end() const { return data() + elementCount(); }

  Sizes sizes() const {
    Sizes result;
    std::copy_n(fields.sizes, N, result.begin());
    return result;
  }
  int64_t size(int dimension) const { return fields.sizes[dimension]; }
  int64_t elementCount() const {
    int64_t count = 1;
    for (int i = 0; i < N; ++i)
      count *= fields.sizes[i];
    return count;
  }

  /// The element in row-major order.
  T &operator[](int64_t index) const { return data()[index]; }

  /// The element at one index per dimension.
  template <typename... Index> T &operator()(Index... index) const {
    static_assert(sizeof...(Index) == N, "one index per dimension");
    const int64_t at[] = {static_cast<int64_t>(index)...};
    int64_t linear = 0;
    for (int i = 0; i < N; ++i) {
      assert(at[i] >= 0 && at[i] < fields.sizes[i] && "index out of bounds");
      linear += at[i] * fields.strides[i];
    }
    return data()[linear];
  }

  /// What the C ABI takes a pointer to; valid while this object stays where it is.
  MemRefDescriptor<T, N> *descriptor() { return &fields; }

private:
  struct Block {
    T *allocated, *aligned;
  };

  MemRef(Block block, const Sizes &sizes) {
    fields.allocated = block.allocated;
    fields.aligned = block.aligned;
    int64_t stride = 1;
    for (int i = N; i-- > 0;) {
      fields.sizes[i] = sizes[i];
      fields.strides[i] = stride;
      stride *= sizes[i];
    }
  }

  /// calloc and not aligned_alloc: only the former hands out zero pages without touching them.
  static Block allocate(const Sizes &sizes) {
    size_t bytes = sizeof(T);
    for (int64_t size : sizes)
      if (size < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(size), &bytes))
        throw std::bad_alloc();
    void *memory = std::calloc(bytes + bufferAlignment, 1);
    if (!memory)
      throw std::bad_alloc();
    int64_t aligned = alignUp(reinterpret_cast<int64_t>(memory));
    return {static_cast<T *>(memory), reinterpret_cast<T *>(aligned)};
  }

  void swap(MemRef &other) {
    std::swap(fields, other.fields);
    std::swap(owning, other.owning);
  }

  MemRefDescriptor<T, N> fields{};
  bool owning = false;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_MEMREF_H
