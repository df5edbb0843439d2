// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIB_REGEX_H
#define BUDDY_RUNTIME_LIB_REGEX_H

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

struct pcre2_real_code_8;

namespace buddy::runtime {

/// A Unicode regular expression (PCRE2) over UTF-8 text that is known to be valid. Immutable.
class Regex {
public:
  /// Throws ArgumentError when `pattern` is none.
  explicit Regex(const std::string &pattern);

  using Range = std::pair<size_t, size_t>; // bytes [first, second)

  /// The first match that starts at or after byte `from`.
  std::optional<Range> find(std::string_view text, size_t from) const;

private:
  std::shared_ptr<pcre2_real_code_8> code;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_REGEX_H
