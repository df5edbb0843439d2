// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Weights.h"
#include "buddy/runtime/Error.h"

#include "Json.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace buddy::runtime;

MappedFile::MappedFile(const std::string &path) {
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    std::string reason = std::strerror(errno);
    if (descriptor >= 0)
      close(descriptor);
    throw ModelError(path, "cannot be read: " + reason);
  }
  length = static_cast<size_t>(status.st_size);
  // mmap refuses length 0; an empty file is an empty mapping.
  void *address = length ? mmap(nullptr, length, PROT_READ, MAP_SHARED, descriptor, 0) : nullptr;
  close(descriptor);
  if (address == MAP_FAILED)
    throw ModelError(path, std::string("cannot be mapped: ") + std::strerror(errno));
  if (length) {
    // Huge pages where the file system has them: small ones are read a third slower. First, since
    // it decides how the file is read ahead.
    madvise(address, length, MADV_HUGEPAGE);
    madvise(address, length, MADV_WILLNEED);
  }
  bytes = static_cast<const std::byte *>(address);
}

MappedFile::~MappedFile() {
  if (length)
    munmap(const_cast<std::byte *>(bytes), length);
}

namespace {

constexpr size_t prefixBytes = 8;           // the header's length, little endian
constexpr uint64_t maxHeader = 100'000'000; // the format's own limit

std::string_view headerOf(const MappedFile &mapping, const std::string &file) {
  if (mapping.size() < prefixBytes)
    throw ModelError(file, "is truncated: it has no safetensors header");
  uint64_t length = 0;
  for (size_t i = prefixBytes; i-- > 0;)
    length = length << 8 | std::to_integer<uint64_t>(mapping.data()[i]);
  if (length > maxHeader)
    throw ModelError(file, "is not a safetensors file: its header would have " +
                               std::to_string(length) + " bytes");
  if (length > mapping.size() - prefixBytes)
    throw ModelError(file, "is truncated: it ends inside its header");
  return {reinterpret_cast<const char *>(mapping.data()) + prefixBytes, length};
}

DataType parseType(const std::string &word) {
  static const std::map<std::string, DataType> types = {
      {"F64", DataType::F64}, {"F32", DataType::F32}, {"BF16", DataType::BF16},
      {"F16", DataType::F16}, {"I64", DataType::I64}, {"I32", DataType::I32},
      {"I16", DataType::I16}, {"I8", DataType::I8},   {"U8", DataType::I8},
      {"BOOL", DataType::I1},
  };
  auto found = types.find(word);
  if (found == types.end())
    throw JsonError("unknown dtype '" + word + "'");
  return found->second;
}

/// Bytes of a tensor, or JsonError when no memory could hold it.
uint64_t byteCount(const WeightTensor &tensor) {
  uint64_t bytes = byteSize(tensor.type);
  for (int64_t size : tensor.shape)
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes))
      throw JsonError("impossible shape " + describe(tensor.type, tensor.shape));
  return bytes;
}

/// Where a tensor lies in the data section.
struct Extent {
  uint64_t begin, end;
  std::string name;
};

WeightTensor parseTensor(const Json &json, const std::byte *data, uint64_t dataSize,
                         Extent &extent) {
  WeightTensor tensor{parseType(json.at("dtype").get<std::string>()), json.at("shape").get<Shape>(),
                      nullptr};
  const Json &offsets = json.at("data_offsets");
  for (const Json &offset : offsets)
    if (!offset.is_number_unsigned())
      throw JsonError("data_offsets are not unsigned integers");
  if (offsets.size() != 2)
    throw JsonError("data_offsets are not a pair");
  extent.begin = offsets[0].get<uint64_t>();
  extent.end = offsets[1].get<uint64_t>();
  if (extent.begin > extent.end || extent.end > dataSize)
    throw JsonError("its data ends beyond the file, which is truncated or corrupt");
  if (extent.end - extent.begin != byteCount(tensor))
    throw JsonError("its data is not the size of " + describe(tensor.type, tensor.shape));
  tensor.data = data + extent.begin;
  // The mapping begins on a page, so this depends on the file alone.
  if (reinterpret_cast<uintptr_t>(tensor.data) % byteSize(tensor.type) != 0)
    throw JsonError("its data is not aligned to its elements");
  return tensor;
}

void refuseOverlap(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(), [](const Extent &a, const Extent &b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  for (size_t i = 1; i < extents.size(); ++i)
    if (extents[i].begin < extents[i - 1].end)
      throw JsonError("tensors '" + extents[i - 1].name + "' and '" + extents[i].name +
                      "' overlap");
}

} // namespace

Weights::Weights(const std::string &path) : file(path), mapping(path) {
  std::string_view header = headerOf(mapping, file);
  const std::byte *data = mapping.data() + prefixBytes + header.size();
  uint64_t dataSize = mapping.size() - prefixBytes - header.size();
  readJson(header, file, [&](const Json &json) {
    if (!json.is_object())
      throw JsonError("its header is not a JSON object");
    std::vector<Extent> extents;
    for (const auto &[name, entry] : json.items()) {
      if (name == "__metadata__")
        continue;
      try {
        Extent &extent = extents.emplace_back(Extent{0, 0, name});
        table.emplace(name, parseTensor(entry, data, dataSize, extent));
      } catch (const std::exception &error) {
        throw JsonError("tensor '" + name + "': " + error.what());
      }
    }
    refuseOverlap(std::move(extents));
  });
}

const WeightTensor &Weights::tensorFor(const Argument &argument) const {
  auto found = table.find(argument.name);
  if (found == table.end())
    throw ModelError(file, "has no tensor '" + argument.name + "', which the model needs");
  const WeightTensor &tensor = found->second;
  if (tensor.type != argument.type || tensor.shape != argument.shape)
    throw ModelError(file, "tensor '" + argument.name + "' is " +
                               describe(tensor.type, tensor.shape) + ", the model needs " +
                               describe(argument.type, argument.shape));
  return tensor;
}
