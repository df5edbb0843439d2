// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pass of Buddy, in alphabetical order.

#ifndef BUDDY_PASSES_TD
#define BUDDY_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmitEntryPointsPass : Pass<"buddy-emit-entry-points", "::mlir::ModuleOp"> {
  let summary = "Give every entry point a wrapper that takes its arguments as an array.";
  let description = [{
    Needs: LLVM dialect; functions with `buddy.entry = "symbol"` and a C interface.
    Leaves: `void symbol(void *const *arguments)` for each of them, so that a launcher of any
    number of arguments is one call. See runtime's ModelABI.h.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
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

def LowerStructuralOpsPass : Pass<"buddy-lower-structural-ops"> {
  let summary = "Rewrite concat, pad and pack as copies into slices of a buffer.";
  let description = [{
    Needs: tensors.
    Leaves: `tensor.insert_slice`, `linalg.fill` and `linalg.transpose`, which bufferize in place.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
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

def VectorizeMatmulPass
    : InterfacePass<"buddy-vectorize-matmul", "::mlir::FunctionOpInterface"> {
  let summary = "Rewrite buddy.matmul on memrefs as register-tiled vector loops.";
  let description = [{
    Needs: lhs and init with unit innermost stride, rhs packed and contiguous within a step.
    Leaves: scf + vector + memref; sums are carried through the loop over K in registers,
    the last partial panel is stored under a mask. M, N and K may be dynamic; with few rows
    several steps of K go at once, so that a matrix-vector product runs at read bandwidth.
    Does not touch: integer products and strided operands; each is a missed remark.

    bf16 panels of pairs use `vdpbf16ps` where the target has it; every other narrow float
    is widened to f32 and multiplied there.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
           "Width of a vector register in bits.">,
    Option<"tileRows", "tile-rows", "int64_t", /*default=*/"0",
           "Rows of the register tile; 0 fills three quarters of the registers.">,
    Option<"hasBF16Dot", "has-bf16-dot", "bool", /*default=*/"false",
           "The target has AVX512_BF16 (at vector-bits below 512: with AVX512VL).">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif
