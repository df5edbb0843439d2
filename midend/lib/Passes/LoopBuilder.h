// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary the vectorizing passes share: index arithmetic that folds as it is
// built, loops with a lambda for a body, and memory access by whole vectors.

#ifndef BUDDY_LIB_PASSES_LOOPBUILDER_H
#define BUDDY_LIB_PASSES_LOOPBUILDER_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace buddy {

class LoopBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value>;
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  // Index arithmetic.
  Value index(int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return add(a, index(b)); }
  Value sub(Value a, Value b);
  /// Of floats or integers, vectors of them too; the others take indices.
  Value sum(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  /// The largest multiple of `step` that is at most `a`.
  Value roundDown(Value a, int64_t step) { return sub(a, rem(a, step)); }

  /// The extent of one dimension of a memref.
  Value dim(Value memref, int64_t dimension);

  /// `for (i = from; i < to; i += step)`. A loop that provably runs once or never is
  /// not emitted as a loop.
  void loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body);
  /// The same with values carried from one iteration to the next.
  Values loop(Value from, Value to, int64_t step, mlir::ValueRange carried,
              llvm::function_ref<Values(Value, mlir::ValueRange)> body);
  /// Asks LLVM not to unroll the loop whose body is being built, if `iv` counts one.
  void keepRolled(Value iv);
  /// `condition ? then() : otherwise`.
  Values when(Value condition, mlir::ValueRange otherwise, llvm::function_ref<Values()> then);
  void when(Value condition, llvm::function_ref<void()> then);

  /// Part of a row: `vectors` whole vectors from `offset` on, the last with `tail` lanes on if that
  /// is not 0.
  struct Chunk {
    Value offset;
    int64_t vectors, tail;
  };
  /// Cuts a row of `extent` elements into chunks of at most `vectors` vectors of `lanes`: a loop
  /// over the whole ones, then what is left.
  void forEachChunk(int64_t extent, int64_t vectors, int64_t lanes,
                    llvm::function_ref<void(Chunk)> body);

  // Scalars and vectors.
  Value zero(mlir::Type type);
  Value splat(Value scalar, mlir::VectorType type);
  /// Floating-point conversion in whichever direction; nothing if the types agree.
  Value convert(Value value, mlir::Type elementType);
  /// sums[i] + x[2i] y[2i] + x[2i+1] y[2i+1], of bf16, by one instruction of AVX512_BF16.
  Value dot(Value sums, Value x, Value y);
  /// One vector at `indices`; with a mask the lanes that are off read as zero.
  Value load(mlir::VectorType type, Value memref, mlir::ValueRange indices, Value mask = {});
  void store(Value vector, Value memref, mlir::ValueRange indices, Value mask = {});
  /// Asks for what will be read, from memory to L2: L1 has too few slots for what memory owes.
  void prefetch(Value memref, mlir::ValueRange indices);
  /// On the stack, from a line of the cache on.
  Value scratch(mlir::ArrayRef<int64_t> shape, mlir::Type element);
  /// A square of as many vectors as each has lanes, a power of two, transposed in registers:
  /// step s exchanges the s-th bit of the row with the s-th bit of the lane.
  void transpose(llvm::MutableArrayRef<Value> rows);
  /// The elements of all vectors, one after the other, in another order: the i-th is `source(i)`.
  Values permute(mlir::ValueRange vectors, llvm::function_ref<int64_t(int64_t)> source);
  /// The elements of some vectors, one after the other, in another order: element i of them is
  /// what was element `source(i)`.
  Values reorder(mlir::ValueRange vectors, llvm::function_ref<int64_t(int64_t)> source);
  /// The vector 0, 1, 2, ...
  Value lanes(int64_t count, mlir::Type elementType);
  /// The mask of the first `active` of `count` lanes.
  Value firstLanes(Value active, int64_t count);
};

/// The value if it is known when compiling.
std::optional<int64_t> constantOf(mlir::Value value);

inline bool isMemRef(mlir::Value value) { return mlir::isa<mlir::MemRefType>(value.getType()); }

/// The buffer that a memref is, or is a view of.
mlir::Value findBuffer(mlir::Value memref);

/// Whether consecutive elements of the last dimension are neighbours in memory.
bool hasUnitInnerStride(mlir::Value memref);

/// Says in a remark why `op` is left as it is (`--remarks-filter-missed=.*`).
void missed(mlir::Operation *op, llvm::StringRef pass, llvm::StringRef reason);
/// The same, as the result of a pattern.
llvm::LogicalResult missed(mlir::PatternRewriter &rewriter, mlir::Operation *op,
                           llvm::StringRef pass, llvm::StringRef reason);

} // namespace buddy

#endif
