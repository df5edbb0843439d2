// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_DATATYPE_H
#define BUDDY_RUNTIME_DATATYPE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace buddy::runtime {

/// Element types at a module's boundary. Signedness is not part of it (u8 and i8 are I8), and a
/// boolean is one byte.
enum class DataType { F64, F32, BF16, F16, I64, I32, I16, I8, I1 };

/// Bytes of one element in memory.
int64_t byteSize(DataType type);

/// "f32", "bf16", …: the spelling of manifests.
std::string_view name(DataType type);

/// The inverse of name(); nothing for an unknown word.
std::optional<DataType> dataTypeNamed(std::string_view name);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_DATATYPE_H
