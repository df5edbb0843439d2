// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_DATATYPE_H
#define BUDDY_RUNTIME_DATATYPE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace buddy::runtime {

/// Element types at a module's boundary. Signedness is not part of it (u8 and i8 are I8), and a
/// boolean is one byte.
enum class DataType { F64, F32, BF16, F16, I64, I32, I16, I8, I1 };

/// The element type of a C++ type; bf16 and f16, which C++ has no type for, are said aloud.
template <typename T> constexpr DataType dataTypeOf() {
  using Element = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Element, double>)
    return DataType::F64;
  else if constexpr (std::is_same_v<Element, float>)
    return DataType::F32;
  else if constexpr (std::is_same_v<Element, bool>)
    return DataType::I1;
  else if constexpr (std::is_integral_v<Element>)
    return sizeof(T) == 8   ? DataType::I64
           : sizeof(T) == 4 ? DataType::I32
           : sizeof(T) == 2 ? DataType::I16
                            : DataType::I8;
  else
    static_assert(!sizeof(T), "not the type of an element");
}

/// Bytes of one element in memory.
int64_t byteSize(DataType type);

/// "f32", "bf16", …: the spelling of manifests.
std::string_view name(DataType type);

/// The inverse of name(); nothing for an unknown word.
std::optional<DataType> dataTypeNamed(std::string_view name);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_DATATYPE_H
