// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/DataType.h"

using namespace buddy::runtime;

namespace {

struct Row {
  DataType type;
  std::string_view name;
  int64_t bytes;
};

constexpr Row table[] = {
    {DataType::F64, "f64", 8}, {DataType::F32, "f32", 4}, {DataType::BF16, "bf16", 2},
    {DataType::F16, "f16", 2}, {DataType::I64, "i64", 8}, {DataType::I32, "i32", 4},
    {DataType::I16, "i16", 2}, {DataType::I8, "i8", 1},   {DataType::I1, "i1", 1},
};

} // namespace

int64_t buddy::runtime::byteSize(DataType type) { return table[static_cast<int>(type)].bytes; }

std::string_view buddy::runtime::name(DataType type) { return table[static_cast<int>(type)].name; }

std::optional<DataType> buddy::runtime::dataTypeNamed(std::string_view name) {
  for (const Row &row : table)
    if (row.name == name)
      return row.type;
  return std::nullopt;
}
