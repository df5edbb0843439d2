// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_MANIFEST_H
#define BUDDY_RUNTIME_MANIFEST_H

#include "buddy/runtime/DataType.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace buddy::runtime {

using Shape = std::vector<int64_t>;

/// A dimension that only the call knows.
constexpr int64_t dynamicSize = -1;

/// What an argument is for, and so who provides it.
enum class ArgumentKind {
  Input,     ///< the caller's data
  Parameter, ///< a weight of the model
  Symbol,    ///< an integer, a dynamic size
  Prepared,  ///< a weight in the layout that `prepare` wrote
  Output,    ///< allocated by the caller, written by the module
  Workspace, ///< scratch bytes, the last argument
};

/// One argument of an entry point.
struct Argument {
  ArgumentKind kind;
  std::string name;
  DataType type = DataType::I64;
  Shape shape;            // dynamicSize where only the call knows
  bool isMutable = false; // updated in place
  bool isUsed = true;     // false: a parameter whose buffer is never read, and may be missing
};

/// The signature of one entry point.
struct Signature {
  std::string name;
  std::vector<Argument> arguments;
  size_t graphArguments = 0; // the first ones, which size the workspace
};

/// What a profiler is told about a kernel.
struct KernelDescription {
  std::string arithmetic;           // "f32", "bf16" or "f64": what bounds its speed
  std::vector<std::string> sources; // operators of the user's program, in order
};

/// A place that calls a kernel, or an entry point as a whole, whose `kernel` is empty.
struct CallSite {
  std::string entry;
  std::string kernel;
  std::string where; // "model.py:12"
};

/// What a module compiled for a profiler reports; empty in others.
struct ProfileTable {
  std::map<std::string, KernelDescription> kernels;
  std::vector<CallSite> sites;
};

/// What a module says about itself.
struct Manifest {
  std::string target;
  std::vector<std::string> features; // LLVM's names, without '+'
  std::map<std::string, Signature, std::less<>> entries;
  ProfileTable profile;
};

/// Reads the JSON of `buddy_manifest`. Throws ModelError naming `origin`.
Manifest parseManifest(std::string_view json, const std::string &origin);

/// "f32[1,?,64]", for messages.
std::string describe(DataType type, const Shape &shape);

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_MANIFEST_H
