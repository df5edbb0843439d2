// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_PIPELINES_H
#define BUDDY_PIPELINES_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace buddy {

/// The states that a module goes through, in order. Each is a place to stop.
enum class Phase { Simplified, Kernels, Tiled, Bufferized, Vectorized, LLVM };

struct CpuOptions : mlir::PassPipelineOptions<CpuOptions> {
  Option<Phase> stopAfter{
      *this, "stop-after", llvm::cl::desc("The last state to reach"), llvm::cl::init(Phase::LLVM),
      llvm::cl::values(
          clEnumValN(Phase::Simplified, "simplified", "linalg on tensors, elementwise ops fused"),
          clEnumValN(Phase::Kernels, "kernels", "a list of calls to unique kernels"),
          clEnumValN(Phase::Tiled, "tiled", "kernels are loops over tiles"),
          clEnumValN(Phase::Bufferized, "bufferized", "memrefs, one planned workspace"),
          clEnumValN(Phase::Vectorized, "vectorized", "tiles are vector code"),
          clEnumValN(Phase::LLVM, "llvm", "LLVM dialect"))};
  Option<int64_t> vectorBits{*this, "vector-bits", llvm::cl::desc("Bits of a vector register"),
                             llvm::cl::init(256)};
  Option<bool> hasBf16Dot{*this, "has-bf16-dot",
                          llvm::cl::desc("The CPU has AVX512_BF16's dot product"),
                          llvm::cl::init(false)};
  Option<bool> hasInt8Dot{*this, "has-int8-dot",
                          llvm::cl::desc("The CPU has AVX512_VNNI's or AVX_VNNI's dot product"),
                          llvm::cl::init(false)};
  Option<bool> hasBf16Tiles{*this, "has-bf16-tiles", llvm::cl::desc("The CPU has AMX_BF16's tiles"),
                            llvm::cl::init(false)};
  Option<bool> hasInt8Tiles{*this, "has-int8-tiles", llvm::cl::desc("The CPU has AMX_INT8's tiles"),
                            llvm::cl::init(false)};
  Option<int64_t> l1Bytes{*this, "l1-bytes", llvm::cl::desc("Bytes of a core's L1 data cache"),
                          llvm::cl::init(32768)};
  Option<int64_t> l2Bytes{*this, "l2-bytes", llvm::cl::desc("Bytes of a core's L2 cache"),
                          llvm::cl::init(1048576)};
  Option<int64_t> cores{*this, "cores", llvm::cl::desc("Cores that share a kernel's tiles"),
                        llvm::cl::init(2)};
  Option<int64_t> lastCacheBytes{*this, "last-cache-bytes",
                                 llvm::cl::desc("Bytes of the last level cache"),
                                 llvm::cl::init(33554432)};
  Option<std::string> features{*this, "features",
                               llvm::cl::desc("CPU features, `;` between, for the manifest"),
                               llvm::cl::init("")};
  Option<bool> weightsStay{
      *this, "weights-stay",
      llvm::cl::desc("The caller keeps the weights: large ones are not worth a second copy"),
      llvm::cl::init(false)};
  Option<bool> profile{*this, "profile", llvm::cl::desc("Report kernel calls to a profiler"),
                       llvm::cl::init(false)};
  ListOption<std::string> schedules{
      *this, "schedules",
      llvm::cl::desc("How kernels are tiled: `kernel=schedule`, or all of them")};
};

/// The passes that take a module from the state before `phase` to `phase`.
void buildCpuPhase(mlir::OpPassManager &pm, Phase phase, const CpuOptions &options);

/// A graph module (linalg on tensors) to LLVM dialect for a host CPU.
void buildCpuPipeline(mlir::OpPassManager &pm, const CpuOptions &options);

void registerPipelines();

} // namespace buddy

#endif
