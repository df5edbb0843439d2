// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/Library.h"
#include "buddy/runtime/CpuFeatures.h"
#include "buddy/runtime/Error.h"
#include "buddy/runtime/KernelTimer.h"
#include "buddy/runtime/Profile.h"

#include "ProfileData.h"
#include "Threads.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <filesystem>
#include <fstream>

using namespace buddy::runtime;

/// Whether the file is as long as its program headers say. dlopen maps the segments unchecked, and
/// touching what a truncated file lacks would kill the process.
static bool holdsItsSegments(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char *>(&header), sizeof(header)) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return true; // dlopen says what is wrong with it
  uint64_t size = std::filesystem::file_size(path);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!file.read(reinterpret_cast<char *>(&segment), sizeof(segment)) ||
        segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
      return false;
  }
  return true;
}

static void *open(const std::string &path) {
  if (!std::filesystem::exists(path))
    throw ModelError(path, "no such file");
  if (!holdsItsSegments(path))
    throw ModelError(path, "is truncated: compile the model again");
  // An absolute path: dlopen searches the system for a bare name. Now, not lazily: a missing
  // symbol is an error here, not a crash in the middle of an answer.
  std::string absolute = std::filesystem::absolute(path).string();
  void *handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    throw ModelError(path, std::string("cannot be loaded: ") + dlerror());
  return handle;
}

Library::Library(const std::string &path) : file(path), handle(open(path)) {
  try {
    text = static_cast<const char *>(symbol(manifestSymbol));
    parsed = parseManifest(text, file);
    requireFeatures(parsed.features, file);
    resolveEntries();
    if (void *runner = dlsym(handle, runnerSymbol); runner && teamRunner())
      *static_cast<TeamRunner **>(runner) = teamRunner();
    if (isProfiling()) {
      attachProfiler(parsed.profile, hooks(), file);
      useProfiledEntries();
    }
  } catch (...) {
    dlclose(handle);
    throw;
  }
}

Library::~Library() { dlclose(handle); }

void *Library::symbol(const std::string &name) const {
  if (void *address = dlsym(handle, name.c_str()))
    return address;
  throw ModelError(file, "has no symbol '" + name + "', so it is not a module compiled by Buddy");
}

void Library::resolveEntries() {
  for (const auto &[name, signature] : parsed.entries) {
    EntryPoint entry;
    entry.signature = &signature;
    entry.invoke = reinterpret_cast<InvokeFunction>(symbol(invokePrefix + name));
    entry.workspace = reinterpret_cast<WorkspaceFunction>(symbol(workspacePrefix + name));
    entries.emplace(name, entry);
  }
}

/// Null where the module was not compiled for a profiler.
ProfileHooks *Library::hooks() const {
  return static_cast<ProfileHooks *>(dlsym(handle, profileHooksSymbol));
}

const KernelTimer &Library::timeKernels() {
  if (timer)
    return *timer;
  ProfileHooks *table = hooks();
  if (!table)
    throw ModelError(file, "was compiled without hooks for a profiler");
  timer = std::make_unique<KernelTimer>(parsed.profile, *table);
  useProfiledEntries();
  return *timer;
}

/// From now on entry points report; one that calls no kernel has nothing to.
void Library::useProfiledEntries() {
  for (auto &[name, entry] : entries)
    if (void *profiled = dlsym(handle, (profilePrefix + name).c_str()))
      entry.invoke = reinterpret_cast<InvokeFunction>(profiled);
}

const EntryPoint &Library::entry(std::string_view name) const {
  auto found = entries.find(name);
  if (found != entries.end())
    return found->second;
  std::string known;
  for (const auto &[other, entry] : entries)
    known += (known.empty() ? "" : ", ") + other;
  throw ArgumentError(file + ": has no entry point '" + std::string(name) + "'; it has: " + known);
}
