// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pass of Buddy, in alphabetical order.

#ifndef BUDDY_PASSES_TD
#define BUDDY_PASSES_TD

include "mlir/Pass/PassBase.td"

def DecomposePass : InterfacePass<"buddy-decompose", "::mlir::FunctionOpInterface"> {
  let summary = "Write buddy.attention and buddy.matmul as plain linalg.";
  let description = [{
    Needs: tensors; static numbers of heads.
    Leaves: linalg.generic, with maps that contain `floordiv` and `mod`. It is the definition of
    the ops: correct for any target, fast for none.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

def DeduplicateKernelsPass : Pass<"buddy-deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "Keep one of all kernels that compute the same.";
  let description = [{
    Needs: outlined kernels (`buddy.kernel`).
    Leaves: no two kernels of equal structure; a model's layers call the same ones.
  }];
  let statistics = [Statistic<"numRemoved", "removed", "kernels equal to another">];
}

def DescribeKernelsPass : Pass<"buddy-describe-kernels", "::mlir::ModuleOp"> {
  let summary = "Note on every kernel what it computes, for a profiler.";
  let description = [{
    Needs: outlined kernels (`buddy.kernel`) on tensors, with locations from the importer.
    Leaves: on each kernel `buddy.sources`, the operators of the user that it computes;
    `buddy.arithmetic`, the type that bounds its speed; and `buddy.work`, a map to (operations,
    bytes) from the sizes that `buddy.work_sizes` names as pairs of argument and dimension
    (-1: the argument itself).
    Does not touch: the code. A kernel whose sizes depend on data gets no `buddy.work`.
  }];
}

def EmitEntryPointsPass : Pass<"buddy-emit-entry-points", "::mlir::ModuleOp"> {
  let summary = "Let entry points take their arguments as an array.";
  let description = [{
    Needs: functions on memrefs with `buddy.entry = "symbol"`.
    Leaves: `symbol(void *const *arguments)` in place of each, so that a launcher of any number
    of arguments is one call, and `_mlir_ciface_<name>` that takes them one by one. See
    runtime's ModelABI.h.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
}

def EmitManifestPass : Pass<"buddy-emit-manifest", "::mlir::ModuleOp"> {
  let summary = "Describe the entry points and their arguments as JSON in the module.";
  let description = [{
    Needs: public functions on memrefs with `buddy.kind` and `buddy.name` on each argument.
    Leaves: the constant `buddy_manifest`, and `buddy.entry` on each entry point.
  }];
  let options = [Option<"targetFeatures", "features", "std::string", /*default=*/"\"\"",
                        "CPU features that the code may use, as LLVM writes them.">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def ExpandBF16Pass : InterfacePass<"buddy-expand-bf16", "::mlir::FunctionOpInterface"> {
  let summary = "Write the rounding to bf16, and selects of it, with integers.";
  let description = [{
    Needs: arithmetic on bf16 done in f32, for CPUs without an instruction that rounds to bf16.
    Leaves: no truncation to bf16, for which LLVM would call a compiler runtime that nothing
    links. f64 is rounded to f32 first, as eager PyTorch does.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def ExpandExtremaPass : InterfacePass<"buddy-expand-extrema", "::mlir::FunctionOpInterface"> {
  let summary = "Write maxima and minima, which pass NaNs on, as comparisons.";
  let description = [{
    Needs: arith; reductions of vectors.
    Leaves: two comparisons for each `maximumf` or `minimumf` of f32 and f64, scalars and vectors,
    of which x86 makes three instructions; one, a single instruction, with a limit that is known
    and where `nnan` says that a NaN of the right operand may be lost. Reductions by halves. Of
    zeros of both signs either may be the result, as in PyTorch.
    Does not touch: half precisions.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::vector::VectorDialect"];
}

def ExpandMathPass : InterfacePass<"buddy-expand-math", "::mlir::FunctionOpInterface"> {
  let summary = "Write functions of f32 vectors as polynomials.";
  let description = [{
    Needs: vectors. f16 and bf16 are computed in f32 and rounded.
    Leaves: arith and `math.fma` on vectors.
    Does not touch: scalars, f64 and all other functions, which are left to libm (upstream's
    sine and cosine lose their digits away from zero). Only expm1 and log1p are written with exp
    and log there, in a way that keeps the digits of a small operand: LLVM has no words for them.

    Largest error measured on a million points, in units in the last place: exp 1.1, exp2 1.0,
    log 0.9, log2 1.8, log1p 2.5, expm1 2.5, erf 1.0, tanh 1.6.
  }];
  let options = [Option<"hasAVX512", "has-avx512", "bool", /*default=*/"false",
                        "One instruction scales 16 floats by powers of two, or looks them up.">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def FenceHalvesPass : Pass<"buddy-fence-halves", "::mlir::LLVM::LLVMFuncOp"> {
  let summary = "Keep LLVM from computing in a half precision what was widened from one.";
  let description = [{
    Needs: LLVM dialect.
    Leaves: an operand of each remainder, of arithmetic on a bf16 and an f16 that were widened to
    f32, and of comparisons of widened bf16, behind a fence, which costs nothing. LLVM 22 made
    remainders of the two some of f16, and took its bits for bf16; sums, products and quotients that
    are rounded to f16 it computed in f16, which has not the range of bf16; comparisons it made some
    of bf16, and for 16 of them that make numbers of 16 bits it had no instruction.
    Does not touch: anything else.
  }];
}

def FillBordersPass : Pass<"buddy-fill-borders", "::mlir::func::FuncOp"> {
  let summary = "Fill only the border of what else is overwritten.";
  let description = [{
    Needs: kernels on tensors.
    Leaves: where a slice is inserted into a tensor that a fill has made, as padding is, fills of the
    slabs around it, which are a small part of all.
    Does not touch: borders that are not known, fills with other readers.
  }];
}

def FormKernelsPass : Pass<"buddy-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Outline groups of operations as private kernel functions.";
  let description = [{
    Needs: linalg and buddy ops on tensors in functions, elementwise chains fused.
    Leaves: functions that only call, reshape, and compute sizes. A kernel is never inlined and
    takes its inputs, then the destinations that it returns; `buddy.tile_dims` on its root names
    the loops that may be cut into tiles, and `buddy.product_loops` those along which the loops of a
    product run that it reads transposed. A matmul takes its elementwise epilogue along; a softmax
    or norm is one kernel over rows.
    Does not touch: ops without a destination; they stay in their function.
  }];
  let statistics = [Statistic<"numKernels", "kernels", "kernels before deduplication">];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def FreezeConversionsPass : Pass<"buddy-freeze-conversions", "::mlir::LLVM::LLVMFuncOp"> {
  let summary = "Make a float that no integer can hold some integer.";
  let description = [{
    Needs: LLVM dialect.
    Leaves: each conversion of floats to integers frozen. LLVM has poison for NaN and what is too
    large: exp(NaN), which takes a power of two from such an integer, became nothing at all where
    the NaN was a constant.
    Does not touch: anything else.
  }];
}

def FuseElementwisePass : Pass<"buddy-fuse-elementwise"> {
  let summary = "Fuse chains of elementwise ops, through reshapes, into one op each.";
  let description = [{
    Needs: linalg on tensors.
    Leaves: chains as single linalg.generic ops of the lowest rank that the reshapes allow.
    A producer with several users is computed again only if it is a single operation, one that a
    reduction reads again for each of its results not at all.
    Does not touch: contractions, convolutions, other named reductions.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def FuseReductionsPass : Pass<"buddy-fuse-reductions", "::mlir::func::FuncOp"> {
  let summary = "Compute elements in the loop that folds them.";
  let description = [{
    Needs: kernels cut into tiles, on tensors.
    Leaves: a reduction with the elements that it reads as a second result, where others read
    them later: one pass over the tile less for each mean, variance or softmax. What is only one
    sum or difference, such as x - mean, is computed again by each that reads it.
    Does not touch: other elements that are read before the reduction.
  }];
}

def HoistPreparePass : Pass<"buddy-hoist-prepare", "::mlir::ModuleOp"> {
  let summary = "Move what depends on weights alone into the function `prepare`.";
  let description = [{
    Needs: arguments with `buddy.kind` and `buddy.name`; the same name is the same parameter.
    Leaves: `prepare(parameters) -> prepared weights`, run once at load, and an argument of kind
    `prepared` for each in the entry points. Equal computations of two entry points are one.
    A private function is passed what it computes from arguments that are weights at every call.
    Does not touch: views, and results more than twice as large as their weights; where the weights
    themselves stay in memory, packs of large ones of f32 that products read well as they lie.
  }];
  let options = [Option<"weightsStay", "weights-stay", "bool", /*default=*/"false",
                        "The caller keeps the weights: large ones are not worth a second copy.">];
  let statistics = [Statistic<"numHoisted", "hoisted", "values prepared">];
}

def InstrumentKernelsPass : Pass<"buddy-instrument-kernels", "::mlir::ModuleOp"> {
  let summary = "Report every call of a kernel to a profiler.";
  let description = [{
    Needs: functions on memrefs; kernels that buddy-describe-kernels has described.
    Leaves: for each public function that calls kernels, but for `prepare`, a second body,
    `buddy_profile_<name>`, with a call for the time and one that reports site, start,
    operations and bytes around each of the kernels and around the whole; `buddy_profile_hooks`,
    a table that a profiler fills in before it calls one; and the module's `buddy.profile`,
    which describes the sites for the manifest.
    Does not touch: the functions themselves and the kernels, so that a module that can be
    profiled is as fast as another.
  }];
  let statistics = [Statistic<"numSites", "sites", "calls of kernels that report">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
}

def IntegerBF16Pass : Pass<"buddy-integer-bf16", "::mlir::ModuleOp"> {
  let summary = "Hold bf16 as integers, for CPUs without instructions for it.";
  let description = [{
    Needs: LLVM dialect without arithmetic of bf16 (buddy-expand-bf16).
    Leaves: no bf16: its bits as i16, widened by a shift. What LLVM 22 knows to be bf16 it compares
    and moves as such, and then calls functions for it that no library has.
    Does not touch: anything else.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def LowerCopiesPass : Pass<"buddy-lower-copies"> {
  let summary = "Rewrite memref copies as linalg, so that they are vectorized.";
  let description = [{
    Needs: memrefs.
    Leaves: no memref.copy; upstream would lower a strided one to a call of its C runtime.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def LowerScatterPass : InterfacePass<"buddy-lower-scatter", "::mlir::FunctionOpInterface"> {
  let summary = "Rewrite buddy.scatter as a loop over its positions.";
  let description = [{
    Needs: memrefs.
    Leaves: a loop in the order of the positions, because they may collide; its body folds one
    row, a `linalg.generic` unless the row is a single element. Threads share long rows.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LowerSortPass : InterfacePass<"buddy-lower-sort", "::mlir::FunctionOpInterface"> {
  let summary = "Rewrite buddy.sort as merges of ever longer runs.";
  let description = [{
    Needs: memrefs.
    Leaves: loops over runs of 1, 2, 4, ... elements, two of which are merged from one plane of the
    result into the other; n log n steps without a branch. Threads share the rows.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LowerStructuralOpsPass : Pass<"buddy-lower-structural-ops"> {
  let summary = "Rewrite concat, pad and pack as elementwise ops and copies into slices.";
  let description = [{
    Needs: tensors.
    Leaves: `tensor.insert_slice`, `linalg.fill` and `linalg.transpose`, which bufferize in place;
    a concatenation of computed parts is one elementwise op, which fuses with what follows.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def LowerTosaPass : Pass<"buddy-lower-tosa"> {
  let summary = "Write the TOSA ops as linalg that upstream's lowering loses something of.";
  let description = [{
    Needs: TOSA on tensors of static sizes, before upstream's lowering.
    Leaves: for floats, `linalg.matmul` for a batch of one, and convolutions with channels first,
    which packed weights serve; maxima and minima that start at an infinity, so that those of
    infinities alone are right.
    Does not touch: all other ops, dynamic sizes, and extrema that ignore NaN.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::tosa::TosaDialect"];
}

def OutlineParallelPass : Pass<"buddy-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Turn what threads run into functions.";
  let description = [{
    Needs: buddy.parallel in functions of the LLVM dialect.
    Leaves: a call through the module's variable `buddy_run_parallel`, where whoever loads the
    module puts its threads; so a module depends on no threading library, and compiled code shares
    the threads that the process has, PyTorch's for one. Until then it runs on the calling thread.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def PackConvolutionPass : Pass<"buddy-pack-convolution"> {
  let summary = "Bring convolutions to channels last and pack their kernels.";
  let description = [{
    Needs: convolutions on tensors with channels first and a zero-filled init, f32, bf16 or f16, of
    any number of spatial dimensions, with or without groups: linalg's named ones or generics.
    Leaves: `buddy.conv` between transpositions to channels last and back, its kernel in panels of
    the register tile; buddy-hoist-prepare moves the packing of weights. Depthwise ones become
    reductions over windows, channels last too.
    Does not touch: groups of a few filters that do not divide a vector.
  }];
  let options = [Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
                        "Bits of a vector register; a panel is up to three registers of f32 wide.">,
                 Option<"hasBf16Dot", "has-bf16-dot", "bool", /*default=*/"false",
                        "Interleave pairs of bf16 channels for the CPU's dot product.">,
                 Option<"hasBf16Tiles", "has-bf16-tiles", "bool", /*default=*/"false",
                        "AMX's tiles take those, whose panels are two registers wide at most.">];
  let dependentDialects = ["::buddy::BuddyDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def PackMatmulPass : Pass<"buddy-pack-matmul"> {
  let summary = "Pack the right-hand side of products into panels of the register tile.";
  let description = [{
    Needs: `linalg.matmul` on tensors with a zero-filled init, f32, bf16, f16, or signed bytes that
    are added up in i32.
    Leaves: `buddy.matmul` of the left-hand side and a `linalg.pack` of the right one. The pack
    reads a transposed weight as it lies in memory. buddy-hoist-prepare moves packs of weights.
    Does not touch: batched matmuls (buddy-unpack-matmul) and other integer ones.
  }];
  let options = [Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"256",
                        "Bits of a vector register; a panel is two registers of f32 wide.">,
                 Option<"hasBf16Dot", "has-bf16-dot", "bool", /*default=*/"false",
                        "Interleave pairs of bf16 rows for the CPU's dot product.">,
                 Option<"hasInt8Dot", "has-int8-dot", "bool", /*default=*/"false",
                        "Pack products of bytes, by four rows, for the CPU's dot product.">];
  let dependentDialects = ["::buddy::BuddyDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def ParallelizeTilesPass : Pass<"buddy-parallelize-tiles", "::mlir::func::FuncOp"> {
  let summary = "Share the tiles of a kernel among threads.";
  let description = [{
    Needs: scf.forall on memrefs, without results.
    Leaves: one `buddy.parallel`, in which each thread goes through neighbouring tiles, as many as
    the others or one more; stack buffers of a tile are made once a thread.
    Does not touch: a forall inside of another; it stays sequential.
  }];
  let dependentDialects = ["::buddy::BuddyDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect"];
}

def PassDestinationsPass : Pass<"buddy-pass-destinations", "::mlir::ModuleOp"> {
  let summary = "Turn the results of entry points into buffers of the caller.";
  let description = [{
    Needs: public functions on memrefs, results allocated within.
    Leaves: no results; an argument of kind `output` for each result, used in place of its
    allocation. A result marked `buddy.updates` is left in the argument that it updates. A
    result that is an argument, or a second name of another result, is copied.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def PassPointersPass : Pass<"buddy-pass-pointers", "::mlir::ModuleOp"> {
  let summary = "Pass row-major memrefs to private functions as pointers and dynamic sizes.";
  let description = [{
    Needs: functions on memrefs.
    Leaves: private functions that rebuild their memrefs from pointers, of static shapes and
    strides where the type has them; calls that compute addresses alone.
    Does not touch: memrefs of other layouts, results.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"
  ];
}

def PipelineTilesPass
    : InterfacePass<"buddy-pipeline-tiles", "::mlir::FunctionOpInterface"> {
  let summary = "Write a tile's results while the next tile is computed.";
  let description = [{
    Needs: scf.forall over linalg on memrefs, before they become vector code, with what is
    prefetched.
    Leaves: loops over runs of tiles, in which the last op of a tile, where it is elementwise and
    writes what the call returns, is part of an op of the next tile that has the same loops.
    Does not touch: loops of few tiles, of other ops or of sizes that are not known; a last op that
    reads much of what the next tile overwrites before.
  }];
  let options = [Option<"minRuns", "min-runs", "int64_t", /*default=*/"32",
                        "Runs that the threads share at least.">,
                 Option<"minTiles", "min-tiles", "int64_t", /*default=*/"4",
                        "The shortest run that is worth it.">,
                 Option<"maxTiles", "max-tiles", "int64_t", /*default=*/"32",
                        "The longest run.">];
  let statistics = [Statistic<"numPipelined", "num-pipelined", "Loops changed.">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect"];
}

def PlaceScratchPass : Pass<"buddy-place-scratch", "::mlir::func::FuncOp"> {
  let summary = "Put the buffers inside of kernels on the stack where a bound is known.";
  let description = [{
    Needs: kernels on memrefs.
    Leaves: a static stack buffer, cut to size, for each allocation with a bound that fits;
    others are freed at the end of their block.
  }];
  let options = [Option<"stackBytes", "stack-bytes", "int64_t", /*default=*/"262144",
                        "Largest buffer that goes on the stack.">];
  let statistics = [Statistic<"numOnStack", "on-stack", "buffers moved to the stack">,
                    Statistic<"numOnHeap", "on-heap", "buffers of unknown bound">];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def PlanWorkspacePass : Pass<"buddy-plan-workspace", "::mlir::ModuleOp"> {
  let summary = "Place every intermediate buffer in one workspace of the caller.";
  let description = [{
    Needs: public functions on memrefs, in straight-line code (a list of kernel calls).
    Leaves: views of one `workspace` argument in place of allocations; buffers whose lifetimes
    are disjoint share a slot. `workspace_<entry>` computes the bytes from the arguments.
    Does not touch: a buffer whose size depends on data stays on the heap.
  }];
  let statistics = [Statistic<"numPlanned", "planned", "buffers placed in the workspace">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def PrefetchTilesPass
    : InterfacePass<"buddy-prefetch-tiles", "::mlir::FunctionOpInterface"> {
  let summary = "Fetch the next tile from memory while a kernel computes on one.";
  let description = [{
    Needs: scf.forall over linalg.generic on memrefs, before they become vector code.
    Leaves: where several ops follow each other in a tile, ops with additional inputs that their
    bodies do not look at, the next tile's; `buddy.prefetched_inputs` counts them. The machine
    itself would see the first op's reads only, and memory would wait during the others.
    Does not touch: kernels of one op, short tiles, tiles of sizes that are not known.
  }];
  let options = [Option<"minBytes", "min-bytes", "int64_t", /*default=*/"1024",
                        "The shortest tile that is worth it.">];
  let statistics = [Statistic<"numPrefetched", "num-prefetched", "Tiles that are fetched ahead.">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def PropagateTransposesPass : Pass<"buddy-propagate-transposes", "::mlir::func::FuncOp"> {
  let summary = "Move transpositions down the graph until they cancel.";
  let description = [{
    Needs: linalg on tensors; convolutions between transpositions.
    Leaves: elementwise ops, pools, pads and reshapes of lines between two convolutions working on
    channels last; reductions that read what was to be transposed. A convolution of one image has
    no batch.
    Does not touch: ops with operands of different layouts.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def ReadHeadsInPlacePass : Pass<"buddy-read-heads-in-place", "::mlir::func::FuncOp"> {
  let summary = "Let attention read and write heads where products leave and take them.";
  let description = [{
    Needs: buddy.attention on tensors.
    Leaves: attention with `layouts`, which reads a query, key or value that reshapes,
    transpositions and slices make of another tensor as a slice of a reshape of that one, and
    writes a result that is transposed as that is.
    Does not touch: what is cut at offsets or strides that are not known; keys and values of which
    a head, with its positions apart, does not fit an eighth of L2, or whose length is not known.
  }];
  let options = [Option<"l2Bytes", "l2-bytes", "int64_t", /*default=*/"1048576",
                        "Bytes of a core's L2 cache.">];
  let dependentDialects = ["::buddy::BuddyDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ScheduleKernelsPass : Pass<"buddy-schedule-kernels", "::mlir::ModuleOp"> {
  let summary = "Say of kernels that were measured how they are to be tiled.";
  let description = [{
    Needs: unique kernels.
    Leaves: `buddy.schedule` on the kernels that are named, for TileKernels.
    Does not touch: their bodies.
  }];
  let options = [ListOption<"schedules", "schedules", "std::string",
                            "`kernel=schedule`, or a schedule for all; the last one counts.">];
}

def SplitReductionsPass : Pass<"buddy-split-reductions", "::mlir::func::FuncOp"> {
  let summary = "Cut long reductions with few results into parts that threads share.";
  let description = [{
    Needs: linalg.generic on tensors.
    Leaves: a reduction that makes a result for each part, and one that folds these. The parts are
    the outer dimensions, or equal pieces of the only one.
    Does not touch: reductions to many results, of several values, by more than one operation, or
    over one dimension that has no divisor of a good size.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def StreamStoresPass : Pass<"buddy-stream-stores", "::mlir::ModuleOp"> {
  let summary = "Write large results past the caches.";
  let description = [{
    Needs: entry points that call kernels; kernels of vector code.
    Leaves: nontemporal stores, where the address is aligned for them, to results of calls that
    move more than the caches hold. Threads have to fence them (ParallelizeTiles does).
    Does not touch: results that the kernel or another one reads, sizes that are not known.
  }];
  let options = [Option<"cacheBytes", "cache-bytes", "int64_t", /*default=*/"33554432",
                        "Bytes of the last level cache.">,
                 Option<"minBytes", "min-bytes", "int64_t", /*default=*/"262144",
                        "The smallest result that is worth it.">];
  let statistics = [Statistic<"numStreamed", "num-streamed", "Stores made nontemporal.">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

def TileKernelsPass : Pass<"buddy-tile-kernels", "::mlir::func::FuncOp"> {
  let summary = "Cut every kernel into parallel tiles and fuse its producers into them.";
  let description = [{
    Needs: kernels on tensors with `buddy.tile_dims` on the root.
    Leaves: one scf.forall over tiles. A matmul is cut into blocks of rows and panels that share
    the L2 cache, panels outermost unless the rows are what comes from memory; one whose tiles pack
    their columns so that the core with most to do has little more than the others; row-wise
    kernels into groups of whole rows, so few that what one op makes for the next stays in L1. What
    is made to be inserted into a destination has that destination; what is only copied there is
    copied in tiles, unless it is small.
    Does not touch: attention (its schedule has its own loops), kernels of one tile.
  }];
  let options = [Option<"l1Bytes", "l1-bytes", "int64_t", /*default=*/"32768",
                        "Bytes of a core's L1 data cache.">,
                 Option<"l2Bytes", "l2-bytes", "int64_t", /*default=*/"1048576",
                        "Bytes of a core's L2 cache.">,
                 Option<"cores", "cores", "int64_t", /*default=*/"2",
                        "Cores that share a kernel's tiles.">,
                 Option<"amxRows", "amx-rows", "int64_t", /*default=*/"1",
                        "Rows of a tile of a bf16 or i8 product are a multiple of this.">,
                 Option<"tileElements", "tile-elements", "int64_t", /*default=*/"8192",
                        "Elements of a tile of a kernel of one op.">];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::bufferization::BufferizationDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def UnpackMatmulPass : Pass<"buddy-unpack-matmul", "::mlir::func::FuncOp"> {
  let summary = "Let products read as they lie what was not packed beforehand.";
  let description = [{
    Needs: buddy-hoist-prepare to have moved the packs of weights.
    Leaves: in place of the other packs, which would be a copy in memory at each call, `buddy.matmul`
    with a right-hand side `[K,N]` or, transposed, `[N,K]`. Batched matmuls become such too. Where
    the left-hand side has fewer rows than `[N,K]`, but not few, it is the transposition of a
    `buddy.matmul` whose left-hand side is `[N,K]`: packing the other operand is less work.
    Does not touch: batched products of integers.
  }];
  let dependentDialects = ["::buddy::BuddyDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def VectorizeAttentionPass : Pass<"buddy-vectorize-attention", "::mlir::ModuleOp"> {
  let summary = "Rewrite buddy.attention on memrefs as vector loops with an online softmax.";
  let description = [{
    Needs: memrefs whose innermost dimension is contiguous; head counts and sizes static,
    the rest may be dynamic.
    Leaves: one `scf.forall` over batch, key/value head and tiles of query rows (plain loops
    when there is a parallel loop around it already) that calls a private function with
    `math.exp2` on vectors and scratch of some 80 KiB on the stack. Keys past `valid` are
    never read. A row that sees no key is 0.
    Does not touch: anything else; each is a missed remark.
  }];
  let options = [Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
                        "Width of a vector register in bits.">,
                 Option<"hasBF16Dot", "has-bf16-dot", "bool", /*default=*/"false",
                        "The target has AVX512_BF16 (at vector-bits below 512: with AVX512VL).">,
                 Option<"hasBF16Tiles", "has-bf16-tiles", "bool", /*default=*/"false",
                        "The target has AMX's tiles of bf16.">];
  let dependentDialects = [
    "::mlir::amx::AMXDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def VectorizeGenericPass
    : InterfacePass<"buddy-vectorize-generic", "::mlir::FunctionOpInterface"> {
  let summary = "Rewrite elementwise linalg ops and reductions on memrefs as vector loops.";
  let description = [{
    Needs: memrefs; each loop over a dimension of some operand. Convolutions and pools are
    reductions over windows.
    Leaves: scf + vector + memref, the last partial vector under a mask. The vectors run along
    the innermost dimension in which every operand is contiguous or constant; a reduction
    along it keeps several partial results, so floating-point sums are reordered. What is read
    across goes by squares; where results have a short last dimension, vectors run along the one
    before it and their elements take turns. Windows are folded at several positions at once; a
    fill before and an elementwise op after them, if it is the only reader, are part of the same
    loops.
    Does not touch: scattered gathers, transposed truth values; each is a
    missed remark.
  }];
  let options = [Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
                        "Width of a vector register in bits.">,
                 Option<"hasBF16Dot", "has-bf16-dot", "bool", /*default=*/"false",
                        "Whether the target has AVX512_BF16.">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def VectorizeMatmulPass
    : InterfacePass<"buddy-vectorize-matmul", "::mlir::FunctionOpInterface"> {
  let summary = "Rewrite buddy.matmul and buddy.conv on memrefs as register-tiled vector loops.";
  let description = [{
    Needs: lhs and init with unit innermost stride, rhs packed and contiguous within a step.
    Leaves: scf + vector + memref; sums are carried through the loop over K in registers,
    the last partial panel is stored under a mask. M, N and K may be dynamic; with few rows
    several steps of K go at once, so that a matrix-vector product runs at read bandwidth. Few rows
    by a transposed right-hand side are vectors along K, whose lanes are added up at the end. Rows of
    a convolution are output positions, of several lines if these are short; where small groups
    share a panel, each lane chooses the channels of its own. An elementwise op that alone reads the
    results takes the sums from registers, once they are complete.
    Does not touch: other integer products and strided operands; each is a missed remark.

    bf16 panels of pairs use `vdpbf16ps` where the target has it, and for 16 rows and more the
    tiles of AMX (amx) where it has those; every other narrow float is widened to f32 and
    multiplied there. Signed bytes use `vpdpbusd`, whose left operand is unsigned: 128 is added
    to it, and 128 times the sum of rhs's column taken off.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
           "Width of a vector register in bits.">,
    Option<"tileRows", "tile-rows", "int64_t", /*default=*/"0",
           "Rows of the register tile; 0 fills three quarters of the registers.">,
    Option<"hasBF16Dot", "has-bf16-dot", "bool", /*default=*/"false",
           "The target has AVX512_BF16 (at vector-bits below 512: with AVX512VL).">,
    Option<"hasInt8Dot", "has-int8-dot", "bool", /*default=*/"false",
           "The target has AVX512_VNNI (at vector-bits below 512: with AVX512VL) or AVX_VNNI.">,
    Option<"hasBF16Tiles", "has-bf16-tiles", "bool", /*default=*/"false",
           "The target has AMX_BF16.">,
    Option<"hasInt8Tiles", "has-int8-tiles", "bool", /*default=*/"false",
           "The target has AMX_INT8.">
  ];
  let dependentDialects = [
    "::mlir::amx::AMXDialect", "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def VerifyPhasePass : Pass<"buddy-verify-phase", "::mlir::ModuleOp"> {
  let summary = "Check what a state of the pipeline promises at its end.";
  let description = [{
    Needs: any module.
    Leaves: it as it is; fails naming each operation that the state `phase` forbids. `kernels`:
    no work in entry points. `bufferized`: no tensors, no results of kernels. `vectorized`: no
    linalg or buddy ops.
    `llvm`: the LLVM dialect alone.
  }];
  let options = [Option<"phase", "phase", "std::string", /*default=*/"\"llvm\"",
                        "kernels, bufferized, vectorized or llvm.">];
}

#endif
