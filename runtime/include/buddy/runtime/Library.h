// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_LIBRARY_H
#define BUDDY_RUNTIME_LIBRARY_H

#include "buddy/runtime/Manifest.h"
#include "buddy/runtime/ModelABI.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace buddy::runtime {

class KernelTimer;

/// One function of a loaded module.
struct EntryPoint {
  const Signature *signature;
  InvokeFunction invoke;
  WorkspaceFunction workspace;
};

/// A compiled module (`model.so`) in this process. Opening costs one dlopen and the parsing of a
/// few kilobytes; nothing of the module runs before its features have been checked.
class Library {
public:
  /// Throws ModelError when the file is no module, is of another ABI version, or needs CPU
  /// features that are not here.
  explicit Library(const std::string &path);
  ~Library();
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;

  const std::string &path() const { return file; }
  /// The JSON text as the module holds it, alive as long as the library.
  std::string_view manifestText() const { return text; }
  const Manifest &manifest() const { return parsed; }

  /// Throws ArgumentError naming the entries there are.
  const EntryPoint &entry(std::string_view name) const;
  bool hasEntry(std::string_view name) const { return entries.find(name) != entries.end(); }

  /// Times kernels from now on, in frames made from now on; asked again, it is the same timer. No
  /// profile sees them any more. Throws ModelError where the module has no hooks.
  const KernelTimer &timeKernels();

private:
  void *symbol(const std::string &name) const;
  ProfileHooks *hooks() const;
  void resolveEntries();
  void useProfiledEntries();

  std::string file;
  void *handle;
  std::string_view text;
  Manifest parsed;
  std::map<std::string, EntryPoint, std::less<>> entries;
  std::unique_ptr<KernelTimer> timer;
};

/// Threads that modules use from now on, whichever thread calls them; 0 leaves it to the OpenMP
/// runtime of the process, of which PyTorch's CPU build sets the number (torch.set_num_threads).
void setThreadCount(int count);

/// What setThreadCount set, or what OpenMP says for the calling thread.
int threadCount();

/// The calling thread's OpenMP state as setThreadCount wants it, for as long as the object lives,
/// and one parallel region for all kernels that it runs meanwhile. At most once a millisecond a new
/// one also sees to it that no two threads of the team run on one CPU while another is free. Frame
/// makes one for each invocation.
class ThreadScope {
public:
  ThreadScope();
  ~ThreadScope();
  ThreadScope(const ThreadScope &) = delete;
  ThreadScope &operator=(const ThreadScope &) = delete;

private:
  int previous = 0; // to be restored, if any
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_LIBRARY_H
