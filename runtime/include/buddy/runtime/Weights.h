// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_WEIGHTS_H
#define BUDDY_RUNTIME_WEIGHTS_H

#include "buddy/runtime/Manifest.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace buddy::runtime {

/// A file mapped read-only. Its pages are shared by every process that maps it.
class MappedFile {
public:
  /// Throws ModelError when the file cannot be read.
  explicit MappedFile(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const std::byte *data() const { return bytes; }
  size_t size() const { return length; }

private:
  const std::byte *bytes = nullptr;
  size_t length = 0;
};

/// One tensor of a weights file: contiguous, row-major, read-only, owned by the file.
struct WeightTensor {
  DataType type;
  Shape shape;
  const void *data;
};

/// A safetensors file. Opening maps it and reads its header only; a tensor costs nothing until the
/// model reads it. Everything the header says is checked against the file, so a Weights that
/// exists can be read everywhere.
class Weights {
public:
  /// Throws ModelError saying what is wrong with the file.
  explicit Weights(const std::string &path);

  const std::string &path() const { return file; }
  const std::map<std::string, WeightTensor, std::less<>> &tensors() const { return table; }

  /// The tensor that `argument` of a module wants. Throws ModelError when it is not there or has
  /// another dtype or shape.
  const WeightTensor &tensorFor(const Argument &argument) const;

private:
  std::string file;
  MappedFile mapping;
  std::map<std::string, WeightTensor, std::less<>> table;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_WEIGHTS_H
