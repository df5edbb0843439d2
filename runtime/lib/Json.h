// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JSON of files we did not write: every surprise becomes a ModelError that names the file.
// Private to lib/: nlohmann's header is too slow to compile for a public one.

#ifndef BUDDY_RUNTIME_LIB_JSON_H
#define BUDDY_RUNTIME_LIB_JSON_H

#include "buddy/runtime/Error.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace buddy::runtime {

using Json = nlohmann::json;

/// What a reader throws when the JSON is well formed and says something wrong.
class JsonError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Parses `text` and hands it to `reader`, whose result it returns.
template <typename Reader>
auto readJson(std::string_view text, const std::string &origin, Reader reader) {
  try {
    return reader(Json::parse(text.begin(), text.end()));
  } catch (const JsonError &error) {
    throw ModelError(origin, error.what());
  } catch (const Json::parse_error &error) {
    throw ModelError(origin, std::string("is not valid JSON: ") + error.what());
  } catch (const Json::exception &error) {
    throw ModelError(origin, std::string("has unexpected content: ") + error.what());
  }
}

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIB_JSON_H
