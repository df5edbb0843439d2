// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementwise ops and reductions on memrefs to vector loops. One dimension is cut into
// vectors: one along which every operand is contiguous or the same.
//
// If it is parallel, each vector of outputs stays in registers while the reductions run:
//   for chunk: for parallel dims: out[chunk] = reduce(out[chunk], in[..., chunk])
// Where windows overlap, several positions at once (WindowFolds.cpp).
// If it is a reduction, independent partial results hide its latency, and meet at the end:
//   for parallel dims: partial = neutral; for chunk: partial = reduce(partial, in[chunk])
//                      out = reduce(out, partial)
// A long sum is a sum of partial sums: what it has grown to would swallow digits of the rest.
// An output that moves with a reduction (a running sum) is stored at each of its steps.
// The rest of a row that fills no vector is read and written under a mask.
//
// A transposed operand is contiguous along another dimension. It is read in squares, which
// are transposed in registers:
//   for square of (across, vector): rows = in[vector .. + lanes, across ..]
//     transpose rows; for each of across: out[across, vector ..] = body(rows[across])
// Where that dimension is short, a 3 by 3 kernel's row, it is taken with those outside of it as
// long as they are contiguous too.
//
// Where what is written has a short last dimension, the three channels of an image, vectors run
// along the one before and are interleaved:
//   for chunk: each of channels = body(in[channel, chunk]); out[chunk, ..] = interleave(channels)
// A transposed operand's channels come from squares: weights that are packed by pairs.

#ifndef BUDDY_LIB_PASSES_GENERICEMITTER_H
#define BUDDY_LIB_PASSES_GENERICEMITTER_H

#include "GenericSchedule.h"
#include "LoopBuilder.h"
#include "VectorBody.h"
#include "WindowFolds.h"

namespace buddy {

/// Vectors that a reduction keeps in flight: the latency of an addition in vectors.
constexpr int64_t kVectorsInFlight = 4;

/// An attribute: how many of an op's last inputs are not read but only fetched into the cache.
constexpr llvm::StringLiteral kPrefetchedInputs = "buddy.prefetched_inputs";
int64_t numPrefetchedInputs(mlir::linalg::LinalgOp op);

class EpilogueEmitter;

class GenericEmitter {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  GenericEmitter(LoopBuilder &b, mlir::linalg::LinalgOp op, const VectorBody &body,
                 GenericSchedule schedule, int64_t bits, bool hasBF16Dot);

  /// The outputs hold `value`, in place of what is in memory.
  void startFrom(Value value) { initial = value; }
  /// Results of windows go to `epilogue`, in place of memory.
  void finishWith(EpilogueEmitter &epilogue);

  void emit();

  /// One vector, of as many lanes as `value` has: what `input` reads, at `indices` of it.
  void emitAt(mlir::OpOperand &input, mlir::ValueRange indices, Value value, Value mask);

private:
  using Body = llvm::function_ref<Values(mlir::ValueRange)>;

  void findExtents();
  Values nest(llvm::ArrayRef<int64_t> dims, mlir::ValueRange carried, Body body);
  Values reductionNest(llvm::ArrayRef<int64_t> dims, mlir::ValueRange carried, int64_t summands,
                       Body body);
  Values reductionLoop(Value from, Value to, int64_t step, mlir::ValueRange carried,
                       int64_t summands, llvm::function_ref<Values(Value, mlir::ValueRange)> body,
                       int levels = 3);
  Values chunks(int64_t unroll, mlir::ValueRange carried,
                llvm::function_ref<Values(int64_t, Value, mlir::ValueRange)> body);
  void emitFolds(llvm::ArrayRef<int64_t> parallel, llvm::ArrayRef<int64_t> reductions);
  Values fold(int64_t count, Value mask, llvm::ArrayRef<int64_t> reductions);
  void emitWindows(SlidingWindow window, llvm::ArrayRef<int64_t> parallel,
                   llvm::ArrayRef<int64_t> reductions);
  void foldPositions(const SlidingWindow &window, const WindowBlock &block,
                     llvm::ArrayRef<int64_t> rows);
  Values addTaps(const SlidingWindow &window, const WindowBlock &block, mlir::ValueRange sums);
  Values addDots(const SlidingWindow &window, const WindowBlock &block, mlir::ValueRange sums);
  void finish(mlir::ValueRange results, Value mask);
  Values outputsBefore(Value mask);
  void emitReduction(llvm::ArrayRef<int64_t> otherReductions);
  Values foldChunk(int64_t unroll, Value mask, mlir::ValueRange before);
  void emitInterleaved();
  void interleave(Value mask, llvm::function_ref<void(int64_t)> enterChannel);
  Values loadRows(mlir::OpOperand &operand, Value start, bool masked);
  void joinCrossing();
  void emitSquares();
  void emitSquare(Value across, Value start, bool masked);
  void enterRow(Value across);
  Value loadCrossing(mlir::OpOperand &operand, Value across, Value mask);
  Values emitChunk(int64_t unroll, Value mask, mlir::ValueRange state);
  Values indicesOf(mlir::OpOperand &operand);
  Value readInput(mlir::OpOperand &operand, Value mask);
  bool isPrefetched(mlir::OpOperand &operand);
  bool isCrossing(mlir::OpOperand &operand);
  void storeOutputs(mlir::ValueRange values, Value mask, bool scanned);
  Value combine(mlir::Operation *combiner, Value a, Value c);
  Values combine(mlir::ValueRange a, mlir::ValueRange c);
  Value neutral(int64_t output);
  Values neutrals(int64_t count);

  LoopBuilder &b;
  mlir::linalg::LinalgOp op;
  const VectorBody &body;
  GenericSchedule schedule;
  int64_t dimension, lanes;
  llvm::ArrayRef<mlir::Operation *> combiners;
  bool hasBF16Dot;
  bool sums; // whether every output is one
  Values extents, ivs;
  Value rowCount; // elements of `across`
  Value initial;
  EpilogueEmitter *epilogue = nullptr;
  // Of each crossing operand: the dimensions of `across` as one, and the square's vector. That of
  // what another op hands over is here too.
  llvm::DenseMap<mlir::OpOperand *, Value> joined, crossed;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_GENERICEMITTER_H
