// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of one attention; VectorizeAttention.cpp draws them.

#ifndef BUDDY_LIB_PASSES_ATTENTIONEMITTER_H
#define BUDDY_LIB_PASSES_ATTENTIONEMITTER_H

#include "AMXTile.h"
#include "OnlineSoftmax.h"
#include "WordMatrix.h"
#include "buddy/IR/BuddyDialect.h"

namespace buddy {

class AttentionEmitter {
public:
  using Value = mlir::Value;
  using Values = LoopBuilder::Values;
  using Chunk = LoopBuilder::Chunk;

  struct Machine {
    int64_t vectorBits;
    bool hasBF16Dot, hasBF16Tiles;
  };

  AttentionEmitter(LoopBuilder &b, AttentionOp op, Machine machine);

  /// How many batches, key/value heads and tiles of query rows there are to emit.
  llvm::SmallVector<mlir::OpFoldResult> units();
  /// The code of one of them. Its scratch is allocated where the builder stands, which
  /// must be the entry of a function.
  void emitTile(Value batch, Value keyHead, Value tile);

private:
  Value inOrder(AttentionOp::Part part);
  Value balanced(Value tile);
  void allocateScratch();
  void loadQueries();
  void emitKeys();
  void packKeys();
  void packKeyGroup(Value key, Chunk chunk);
  void packValues();
  void emitBlock();
  void multiplyTiles(const WordMatrix &lhs, Value lhsRow, const WordMatrix &rhs, Value out,
                     Value outRow, bool adds);
  void scoreRows();
  Value masked(Value score, Value row, int64_t key, Value seen);
  void softmaxRow(Value index);
  void storeWeights(Value index, int64_t key, Value weights);
  void accumulateRows(Chunk chunk);
  void storeRow(Value row);

  Value lastRow(Value row);
  Value position(Value row);
  Value queryHead(Value row);
  Value visibleKeys(Value row);
  void forEachWords(llvm::function_ref<void(Chunk)> body);
  Value loadWide(Value memref, mlir::ValueRange indices, int64_t tail = 0);
  Value loadWords(Value memref, mlir::ValueRange indices, int64_t tail);
  Value loadValues(Value key, Value column, int64_t tail);
  Value multiplyAdd(Value word, Value words, Value sums);
  int64_t paddedWords(int64_t elements);
  Value tailMask(int64_t tail);

  LoopBuilder &b;
  AttentionOp op;
  mlir::FloatType sum;
  bool dot;        // both products by the dot product of pairs of bf16
  bool tiles;      // or in AMX's tiles
  mlir::Type word; // what a lane multiplies: a number of type `sum`, or such a pair
  int64_t perWord; // elements of one
  bool isBase2;    // scores are in units of ln 2
  int64_t lanes, chunkVectors, group, depth, valueDepth;
  int64_t blockRows, tileRows, blockKeys;
  mlir::VectorType vectorType, wordsType;
  Value queryHeads, keyHeads, valueHeads, outHeads; // the operands as [B,H,T,D]
  Value valid, queries, rowCount;
  // Of the tile being emitted, its block of keys and its block of rows.
  Value batch, keyHead, firstRow, tileCount, firstKey, keyCount, row, seenCount;
  // Its scratch; keys are transposed, and values only there if pairs are multiplied.
  WordMatrix queryWords, keyWords, valueWords, weights;
  Value scores, outputs; // of sums
  std::optional<OnlineSoftmax> softmax;
  std::optional<AMXTile> tile;
};

} // namespace buddy

#endif
