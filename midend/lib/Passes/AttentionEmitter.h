// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of one attention; VectorizeAttention.cpp draws them.

#ifndef BUDDY_LIB_PASSES_ATTENTIONEMITTER_H
#define BUDDY_LIB_PASSES_ATTENTIONEMITTER_H

#include "LoopBuilder.h"
#include "buddy/IR/BuddyDialect.h"

namespace buddy {

class AttentionEmitter {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;

  AttentionEmitter(LoopBuilder &b, AttentionOp op, int64_t vectorBits);

  /// How many batches, key/value heads and tiles of query rows there are to emit.
  llvm::SmallVector<mlir::OpFoldResult> units();
  /// The code of one of them. Its scratch is allocated where the builder stands, which
  /// must be the entry of a function.
  void emitTile(Value batch, Value keyHead, Value tile);

private:
  /// Part of a row: `vectors` whole vectors from `offset` on, the last with `tail` lanes
  /// on if that is not 0.
  struct Chunk {
    Value offset;
    int64_t vectors, tail;
  };

  void allocateScratch();
  void loadQueries();
  void transposeKeys();
  void transposeKeyGroup(Value firstKey, Value depth, int64_t active);
  void scoreRows(Value row);
  Value masked(Value score, Value row, int64_t key, Value seen);
  void softmaxRow(Value row);
  void accumulateRows(Value row, Chunk chunk);
  void storeRow(Value row);

  Value position(Value row);
  Value queryHead(Value row);
  Value visibleKeys(Value row);
  void forEachChunk(int64_t extent, int64_t vectors, llvm::function_ref<void(Chunk)> body);
  Value loadWide(Value memref, mlir::ValueRange indices, int64_t tail = 0);
  Value tailMask(int64_t tail);
  Value infinity();

  LoopBuilder &b;
  AttentionOp op;
  mlir::FloatType sum;
  int64_t lanes, chunkVectors, group, depth, valueDepth;
  int64_t blockRows, tileRows, blockKeys;
  mlir::VectorType vectorType;
  Value valid, queries, rowCount;
  // Of the tile being emitted.
  Value batch, keyHead, firstRow, tileCount, firstKey, keyCount;
  // Its scratch: queries, transposed keys, scores, outputs, sums by lane, maxima.
  Value scaledQueries, transposedKeys, scores, outputs, sums, maxima;
};

} // namespace buddy

#endif
