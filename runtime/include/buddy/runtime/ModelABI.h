// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C ABI of a compiled module (`model.so`). The compiler's backend emits it, this runtime
// loads it, and a program that links a module directly includes this header and nothing else.
//
// A module exports
//   const char buddy_manifest[];                            JSON, see Manifest.h
//   void buddy_invoke_<entry>(void *const *arguments);      runs an entry point
//   int64_t buddy_workspace_<entry>(void *const *arguments); bytes of workspace the call needs
//   void _mlir_ciface_<entry>(...);                         the same arguments one by one
// with the entries `forward`, or `prefill` and `decode`, and where weights are prepared `prepare`.
//
// A module that can be profiled also exports
//   void buddy_profile_<entry>(void *const *arguments);     the same as invoke, reporting to
//   ProfileHooks buddy_profile_hooks;                       which must be filled in before
//
// A module whose kernels can be shared by threads also exports
//   TeamRunner *buddy_run_parallel;                         which may be filled in before; until
//                                                           then the caller does everything
//
// arguments[i] points to a MemRefDescriptor, or to an int64_t for a symbol. Order: the graph's own
// arguments, prepared weights, outputs, then one workspace (memref<?xi8>, 64-byte aligned).
// buddy_workspace_<entry> reads only the graph's own arguments; the rest may be missing.
// All buffers are contiguous, row-major and owned by the caller.

#ifndef BUDDY_RUNTIME_MODELABI_H
#define BUDDY_RUNTIME_MODELABI_H

#include <cstdint>

namespace buddy::runtime {

/// The value of "abi" in the manifest this runtime understands.
constexpr int64_t abiVersion = 1;

/// Alignment, in bytes, of a workspace and of everything the runtime allocates.
constexpr int64_t bufferAlignment = 64;

constexpr char manifestSymbol[] = "buddy_manifest";
constexpr char invokePrefix[] = "buddy_invoke_";
constexpr char workspacePrefix[] = "buddy_workspace_";
constexpr char profilePrefix[] = "buddy_profile_";
constexpr char profileHooksSymbol[] = "buddy_profile_hooks";
constexpr char runnerSymbol[] = "buddy_run_parallel";

extern "C" {
using InvokeFunction = void (*)(void *const *arguments);
using WorkspaceFunction = int64_t (*)(void *const *arguments);
/// What each thread of a team runs: its number, from 0, and how many there are.
using TeamBody = void(void *data, int64_t thread, int64_t team);
/// Runs `body` on a team of threads, the caller's among them, and returns when all have.
using TeamRunner = void(TeamBody *body, void *data);
}

/// What a profiled entry point calls around each of its kernels, and around itself as a whole.
/// `site` is an index into the manifest's "profile" / "sites"; operations and bytes are those of
/// this call, -1 where they depend on data.
struct ProfileHooks {
  void *context;
  int64_t (*now)();
  void (*record)(void *context, int64_t site, int64_t start, int64_t operations, int64_t bytes);
};

/// What MLIR passes for a memref of rank N. `allocated` is what free() would take, `aligned` where
/// the elements are; sizes and strides count elements.
template <typename T, int N> struct MemRefDescriptor {
  T *allocated;
  T *aligned;
  int64_t offset;
  int64_t sizes[N];
  int64_t strides[N];
};

template <typename T> struct MemRefDescriptor<T, 0> {
  T *allocated;
  T *aligned;
  int64_t offset;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_MODELABI_H
