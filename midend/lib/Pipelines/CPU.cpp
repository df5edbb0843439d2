// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The whole way of a module to a host CPU. Nothing else in the tree orders passes.

#include "buddy/Passes.h"
#include "buddy/Pipelines.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/TosaToLinalg/TosaToLinalg.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace buddy;

/// Function by function, on all cores.
template <typename Function = func::FuncOp> static void cleanUp(OpPassManager &pm) {
  pm.addNestedPass<Function>(createCanonicalizerPass());
  pm.addNestedPass<Function>(createCSEPass());
}

/// A bug is to be caught where it was made.
static void verify(OpPassManager &pm, const char *phase) {
  pm.addPass(createVerifyPhasePass(VerifyPhasePassOptions{phase}));
}

/// Linalg on tensors only. Matmuls read packed weights, which `prepare` makes; chains of
/// elementwise ops are one op.
static void reachSimplified(OpPassManager &pm, const CpuOptions &options) {
  pm.addNestedPass<func::FuncOp>(createLowerTosaPass());
  pm.addNestedPass<func::FuncOp>(tosa::createTosaToLinalgNamed());
  pm.addNestedPass<func::FuncOp>(tosa::createTosaToLinalg());
  pm.addNestedPass<func::FuncOp>(createTosaToTensorPass());
  pm.addNestedPass<func::FuncOp>(createTosaToArithPass());
  cleanUp(pm);
  // Before fusion: a transposed weight must not be fused into a loop over its rows.
  pm.addNestedPass<func::FuncOp>(createPackConvolutionPass(
      PackConvolutionPassOptions{options.vectorBits, options.hasBf16Dot, options.hasBf16Tiles}));
  pm.addNestedPass<func::FuncOp>(createPackMatmulPass(
      PackMatmulPassOptions{options.vectorBits, options.hasBf16Dot, options.hasInt8Dot}));
  pm.addNestedPass<func::FuncOp>(createReadHeadsInPlacePass({options.l2Bytes}));
  // Before unit extents are folded, which would hide one transposition from the other.
  pm.addNestedPass<func::FuncOp>(createPropagateTransposesPass());
  cleanUp(pm);
  pm.addPass(createHoistPreparePass(HoistPreparePassOptions{options.weightsStay}));
  pm.addNestedPass<func::FuncOp>(createUnpackMatmulPass());
  pm.addNestedPass<func::FuncOp>(createLowerStructuralOpsPass());
  // Before unit extents are folded, so that a transposition of [1,9] becomes none at all.
  pm.addNestedPass<func::FuncOp>(createFuseElementwisePass());
  pm.addNestedPass<func::FuncOp>(createLinalgFoldUnitExtentDimsPass());
  pm.addNestedPass<func::FuncOp>(createFuseElementwisePass());
  pm.addNestedPass<func::FuncOp>(createSplitReductionsPass());
  cleanUp(pm);
}

/// Entry points are straight lists of calls, reshapes and sizes; kernels are unique.
static void reachKernels(OpPassManager &pm, const CpuOptions &options) {
  pm.addPass(createFormKernelsPass());
  // A repeated layer was one function until here: all of the above has seen it once.
  pm.addPass(createInlinerPass({}, [](OpPassManager &) {}));
  // Sizes of reshapes in terms of the arguments, while reshapes of tensors can tell them: the
  // workspace is planned for sizes that are known on entry.
  pm.addPass(memref::createResolveShapedTypeResultDimsPass());
  cleanUp(pm);
  pm.addPass(createDeduplicateKernelsPass());
  // While the operations that make up the work are still whole.
  if (options.profile)
    pm.addPass(createDescribeKernelsPass());
  if (!options.schedules.empty())
    pm.addPass(createScheduleKernelsPass(
        {SmallVector<std::string>(options.schedules.begin(), options.schedules.end())}));
  verify(pm, "kernels");
}

/// Every kernel is a parallel loop over tiles that fit the caches.
static void reachTiled(OpPassManager &pm, const CpuOptions &options) {
  TileKernelsPassOptions tiles;
  tiles.l1Bytes = options.l1Bytes;
  tiles.l2Bytes = options.l2Bytes;
  tiles.cores = options.cores;
  tiles.amxRows = options.hasBf16Tiles || options.hasInt8Tiles ? 16 : 1;
  pm.addNestedPass<func::FuncOp>(createFillBordersPass());
  pm.addNestedPass<func::FuncOp>(createTileKernelsPass(tiles));
  // Tiling makes a producer once for each of its readers.
  cleanUp(pm);
  pm.addNestedPass<func::FuncOp>(createFuseReductionsPass());
  cleanUp(pm);
}

/// No tensor is left. Entry points write into buffers of their caller; what lives
/// between kernels lies in one workspace.
static void reachBufferized(OpPassManager &pm) {
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addPass(bufferization::createDropEquivalentBufferResultsPass());
  cleanUp(pm);
  pm.addPass(createPassDestinationsPass());
  pm.addPass(memref::createResolveShapedTypeResultDimsPass());
  cleanUp(pm);
  pm.addPass(createPlanWorkspacePass());
  pm.addNestedPass<func::FuncOp>(createPlaceScratchPass());
  pm.addPass(createLowerCopiesPass());
  cleanUp(pm);
  verify(pm, "bufferized");
}

/// Tiles are vector code; what no schedule takes is plain loops.
static void reachVectorized(OpPassManager &pm, const CpuOptions &options) {
  VectorizeMatmulPassOptions matmul;
  matmul.vectorBits = options.vectorBits;
  matmul.hasBF16Dot = options.hasBf16Dot;
  matmul.hasInt8Dot = options.hasInt8Dot;
  matmul.hasBF16Tiles = options.hasBf16Tiles;
  matmul.hasInt8Tiles = options.hasInt8Tiles;
  pm.addNestedPass<func::FuncOp>(createVectorizeMatmulPass(matmul));
  pm.addPass(createVectorizeAttentionPass(
      VectorizeAttentionPassOptions{options.vectorBits, options.hasBf16Dot, options.hasBf16Tiles}));
  // Rows of a scatter become generic ops.
  pm.addNestedPass<func::FuncOp>(createLowerScatterPass());
  pm.addNestedPass<func::FuncOp>(createLowerSortPass());
  pm.addNestedPass<func::FuncOp>(createPrefetchTilesPass());
  pm.addNestedPass<func::FuncOp>(createPipelineTilesPass());
  pm.addNestedPass<func::FuncOp>(createVectorizeGenericPass(
      VectorizeGenericPassOptions{options.vectorBits, options.hasBf16Dot}));
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  cleanUp(pm);
  pm.addPass(createStreamStoresPass(StreamStoresPassOptions{options.lastCacheBytes}));
  verify(pm, "vectorized");
}

static std::string withCommas(std::string features) {
  std::replace(features.begin(), features.end(), ';', ',');
  return features;
}

/// Arithmetic in f32, rounding in integers.
static void emulateBF16(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(math::createMathExtendToSupportedTypes());
  arith::ArithEmulateUnsupportedFloatsOptions options;
  options.sourceTypeStrs = {"bf16"};
  pm.addNestedPass<func::FuncOp>(arith::createArithEmulateUnsupportedFloats(options));
  pm.addNestedPass<func::FuncOp>(createExpandBF16Pass());
}

/// LLVM dialect only.
static void reachLLVM(OpPassManager &pm, const CpuOptions &options) {
  // Before the manifest, which lists what is reported.
  if (options.profile)
    pm.addPass(createInstrumentKernelsPass());
  pm.addPass(createEmitManifestPass(EmitManifestPassOptions{withCommas(options.features)}));
  pm.addPass(createEmitEntryPointsPass());
  pm.addPass(createPassPointersPass());
  cleanUp(pm);
  pm.addNestedPass<func::FuncOp>(createParallelizeTilesPass());
  // A forall inside of a tile runs on the tile's thread.
  pm.addNestedPass<func::FuncOp>(createForallToForLoopPass());
  pm.addNestedPass<func::FuncOp>(memref::createExpandStridedMetadataPass());
  pm.addNestedPass<func::FuncOp>(createLowerAffinePass());
  // libm has no rsqrt, and the CPU's own is an estimate.
  pm.addNestedPass<func::FuncOp>(
      math::createMathExpandOpsPass(math::MathExpandOpsPassOptions{{"rsqrt"}}));
  pm.addNestedPass<func::FuncOp>(
      createExpandMathPass(ExpandMathPassOptions{/*hasAVX512=*/options.vectorBits == 512}));
  if (!options.hasBf16Dot)
    emulateBF16(pm);
  pm.addNestedPass<func::FuncOp>(createExpandExtremaPass());
  pm.addNestedPass<func::FuncOp>(arith::createArithExpandOpsPass());
  pm.addNestedPass<func::FuncOp>(createSCFToControlFlowPass());
  // What is one instruction (fma, floor, abs) must not become a call for each lane.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  // All at once, what threads run too: only here do AMX tiles have a type that blocks can take.
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addNestedPass<LLVM::LLVMFuncOp>(createFreezeConversionsPass());
  pm.addNestedPass<LLVM::LLVMFuncOp>(createFenceHalvesPass());
  if (!options.hasBf16Dot)
    pm.addPass(createIntegerBF16Pass());
  cleanUp<LLVM::LLVMFuncOp>(pm);
  pm.addPass(createOutlineParallelPass());
  verify(pm, "llvm");
}

void buddy::buildCpuPhase(OpPassManager &pm, Phase phase, const CpuOptions &options) {
  switch (phase) {
  case Phase::Simplified:
    return reachSimplified(pm, options);
  case Phase::Kernels:
    return reachKernels(pm, options);
  case Phase::Tiled:
    return reachTiled(pm, options);
  case Phase::Bufferized:
    return reachBufferized(pm);
  case Phase::Vectorized:
    return reachVectorized(pm, options);
  case Phase::LLVM:
    return reachLLVM(pm, options);
  }
}

void buddy::buildCpuPipeline(OpPassManager &pm, const CpuOptions &options) {
  for (Phase phase : {Phase::Simplified, Phase::Kernels, Phase::Tiled, Phase::Bufferized,
                      Phase::Vectorized, Phase::LLVM}) {
    buildCpuPhase(pm, phase, options);
    if (phase == options.stopAfter)
      return;
  }
}

void buddy::registerPipelines() {
  PassPipelineRegistration<CpuOptions>(
      "buddy-cpu-pipeline", "Linalg on tensors to LLVM dialect for a host CPU.", buildCpuPipeline);
}
