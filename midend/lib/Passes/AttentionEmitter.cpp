// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AttentionEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace buddy;

/// Rows of one register tile; with `chunkVectors` vectors each, three quarters of the
/// registers.
constexpr int64_t registerRows = 6;
/// Rows that one transposed block of keys serves.
constexpr int64_t mostTileRows = 36;
/// Keys of one block: with 64 values a head, block and scores stay in a 32 KiB cache.
constexpr int64_t keysOfBlock = 64;

static MemRefType typeOf(Value memref) { return cast<MemRefType>(memref.getType()); }

AttentionEmitter::AttentionEmitter(LoopBuilder &b, AttentionOp op, int64_t vectorBits)
    : b(b), op(op) {
  sum = typeOf(op.getQuery()).getElementType().isF64() ? b.getF64Type() : b.getF32Type();
  lanes = vectorBits / sum.getWidth();
  vectorType = VectorType::get(lanes, sum);
  chunkVectors = vectorBits >= 512 ? 4 : 2;
  group = typeOf(op.getQuery()).getDimSize(1) / typeOf(op.getKey()).getDimSize(1);
  depth = typeOf(op.getQuery()).getDimSize(3);
  valueDepth = typeOf(op.getValue()).getDimSize(3);

  Value length = b.dim(op.getKey(), 2);
  valid = op.getValid() ? b.min(op.getValid(), length) : length;
  queries = b.dim(op.getQuery(), 2);
  rowCount = b.mul(queries, group);
  std::optional<int64_t> known = constantOf(rowCount);
  blockRows = known ? std::clamp<int64_t>(*known, 1, registerRows) : registerRows;
  tileRows =
      (int64_t)llvm::alignTo(std::min(known.value_or(mostTileRows), mostTileRows), blockRows);
  blockKeys = llvm::alignTo(keysOfBlock, chunkVectors * lanes);
}

SmallVector<OpFoldResult> AttentionEmitter::units() {
  Value tiles = b.div(b.add(rowCount, tileRows - 1), tileRows);
  return {b.dim(op.getQuery(), 0), b.dim(op.getKey(), 1), tiles};
}

void AttentionEmitter::allocateScratch() {
  auto allocate = [&](ArrayRef<int64_t> shape) -> Value {
    return memref::AllocaOp::create(b, MemRefType::get(shape, sum), b.getI64IntegerAttr(64));
  };
  scaledQueries = allocate({tileRows, (int64_t)llvm::alignTo(depth, lanes)});
  transposedKeys = allocate({(int64_t)llvm::alignTo(depth, lanes), blockKeys});
  scores = allocate({tileRows, blockKeys});
  outputs = allocate({tileRows, (int64_t)llvm::alignTo(valueDepth, lanes)});
  sums = allocate({tileRows, lanes});
  maxima = allocate({tileRows});
}

Value AttentionEmitter::position(Value row) { return b.div(b.add(firstRow, row), group); }

Value AttentionEmitter::queryHead(Value row) {
  return b.add(b.mul(keyHead, group), b.rem(b.add(firstRow, row), group));
}

/// How many keys a row sees: all that exist, or those up to its own position, counted so
/// that the last query sees the last key.
Value AttentionEmitter::visibleKeys(Value row) {
  if (!op.getCausal())
    return valid;
  Value before = b.sub(valid, queries);
  return b.max(b.add(b.add(position(row), before), 1), b.index(0));
}

Value AttentionEmitter::tailMask(int64_t tail) {
  return tail ? b.firstLanes(b.index(tail), lanes) : Value();
}

Value AttentionEmitter::loadWide(Value memref, ValueRange indices, int64_t tail) {
  auto narrow = VectorType::get(lanes, typeOf(memref).getElementType());
  return b.convert(b.load(narrow, memref, indices, tailMask(tail)), sum);
}

Value AttentionEmitter::infinity() {
  APFloat negative = APFloat::getInf(sum.getFloatSemantics(), /*Negative=*/true);
  return arith::ConstantOp::create(b, b.getFloatAttr(sum, negative));
}

/// Cuts a row of `extent` elements into chunks of at most `vectors` vectors: a loop over
/// the whole ones, then what is left.
void AttentionEmitter::forEachChunk(int64_t extent, int64_t vectors,
                                    function_ref<void(Chunk)> body) {
  int64_t width = vectors * lanes, whole = extent / width * width;
  b.loop(b.index(0), b.index(whole), width,
         [&](Value offset) { body({offset, vectors, /*tail=*/0}); });
  if (int64_t rest = extent - whole)
    body({b.index(whole), (int64_t)llvm::divideCeil(rest, lanes), rest % lanes});
}

void AttentionEmitter::emitTile(Value tileBatch, Value tileKeyHead, Value tile) {
  batch = tileBatch;
  keyHead = tileKeyHead;
  firstRow = b.mul(tile, tileRows);
  tileCount = b.min(b.index(tileRows), b.sub(rowCount, firstRow));
  allocateScratch();
  loadQueries();
  // The last row of a causal tile sees most.
  Value end = visibleKeys(b.sub(tileCount, b.index(1)));
  b.loop(b.index(0), end, blockKeys, [&](Value key) {
    firstKey = key;
    keyCount = b.min(b.index(blockKeys), b.sub(end, key));
    transposeKeys();
    b.loop(b.index(0), tileCount, blockRows, [&](Value row) { scoreRows(row); });
    b.loop(b.index(0), tileCount, 1, [&](Value row) { softmaxRow(row); });
    b.loop(b.index(0), tileCount, blockRows, [&](Value row) {
      forEachChunk(valueDepth, chunkVectors, [&](Chunk chunk) { accumulateRows(row, chunk); });
    });
  });
  b.loop(b.index(0), tileCount, 1, [&](Value row) { storeRow(row); });
}

/// Scaled queries, zero outputs and sums. Rows that only fill up the last register tile
/// are zeros.
void AttentionEmitter::loadQueries() {
  Value zero = b.zero(vectorType);
  b.loop(b.index(0), b.index(tileRows), 1, [&](Value row) {
    forEachChunk(depth, 1, [&](Chunk chunk) { b.store(zero, scaledQueries, {row, chunk.offset}); });
    forEachChunk(valueDepth, 1, [&](Chunk chunk) { b.store(zero, outputs, {row, chunk.offset}); });
    b.store(zero, sums, {row, b.index(0)});
    memref::StoreOp::create(b, infinity(), maxima, row);
  });
  double factor = op.getScale().convertToDouble();
  Value scale =
      arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, b.getFloatAttr(sum, factor)));
  b.loop(b.index(0), tileCount, 1, [&](Value row) {
    Value head = queryHead(row), query = position(row);
    forEachChunk(depth, 1, [&](Chunk chunk) {
      Value loaded = loadWide(op.getQuery(), {batch, head, query, chunk.offset}, chunk.tail);
      b.store(arith::MulFOp::create(b, loaded, scale), scaledQueries, {row, chunk.offset});
    });
  });
}

void AttentionEmitter::transposeKeys() {
  b.loop(b.index(0), keyCount, lanes, [&](Value key) {
    forEachChunk(depth, 1, [&](Chunk chunk) { transposeKeyGroup(key, chunk.offset, chunk.tail); });
  });
}

/// Kt[offset + i, group of keys] for the i-th value of each head. A key past the last one
/// reads the last one again: its score is masked, but its memory may not exist.
void AttentionEmitter::transposeKeyGroup(Value key, Value offset, int64_t tail) {
  Value last = b.sub(valid, b.index(1));
  Values square;
  for (int64_t i = 0; i < lanes; ++i) {
    Value position = b.min(b.add(b.add(firstKey, key), i), last);
    square.push_back(loadWide(op.getKey(), {batch, keyHead, position, offset}, tail));
  }
  b.transpose(square);
  for (int64_t i = 0; i < (tail ? tail : lanes); ++i)
    b.store(square[i], transposedKeys, {b.add(offset, i), key});
}

/// S[row : row + blockRows, :] = Q . Kt
void AttentionEmitter::scoreRows(Value row) {
  forEachChunk(blockKeys, chunkVectors, [&](Chunk chunk) {
    Values zeros(blockRows * chunk.vectors, b.zero(vectorType));
    Values total = b.loop(b.index(0), b.index(depth), 1, zeros, [&](Value d, ValueRange carried) {
      Values next(carried), keys;
      for (int64_t j = 0; j < chunk.vectors; ++j)
        keys.push_back(b.load(vectorType, transposedKeys, {d, b.add(chunk.offset, j * lanes)}));
      for (int64_t i = 0; i < blockRows; ++i) {
        Value query = memref::LoadOp::create(b, scaledQueries, ValueRange{b.add(row, i), d});
        Value factor = b.splat(query, vectorType);
        for (int64_t j = 0; j < chunk.vectors; ++j) {
          Value &score = next[i * chunk.vectors + j];
          score = vector::FMAOp::create(b, factor, keys[j], score);
        }
      }
      return next;
    });
    for (int64_t i = 0; i < blockRows; ++i)
      for (int64_t j = 0; j < chunk.vectors; ++j)
        b.store(total[i * chunk.vectors + j], scores,
                {b.add(row, i), b.add(chunk.offset, j * lanes)});
  });
}

/// The scores of some keys of a row with a float mask added, or without what an i1 mask does
/// not select. `seen` are the lanes whose keys exist.
Value AttentionEmitter::masked(Value score, Value row, int64_t key, Value seen) {
  Value mask = op.getMask();
  if (!mask)
    return score;
  MemRefType type = typeOf(mask);
  Values all{batch, queryHead(row), position(row), b.add(firstKey, key)};
  Values indices(ArrayRef<Value>(all).take_back(type.getRank()));
  for (auto [index, size] : llvm::zip(indices, type.getShape()))
    if (size == 1)
      index = b.index(0);
  auto lanesType = VectorType::get(lanes, type.getElementType());
  bool same = type.getShape().back() == 1 && typeOf(op.getKey()).getDimSize(2) != 1;
  Value element = same ? b.splat(memref::LoadOp::create(b, mask, indices), lanesType)
                       : b.load(lanesType, mask, indices, seen);
  if (type.getElementType().isInteger(1))
    return arith::SelectOp::create(b, element, score, b.splat(infinity(), vectorType));
  return arith::AddFOp::create(b, score, b.convert(element, sum));
}

/// One step of the online softmax for one row: S = exp(S - max), and everything summed
/// so far is rescaled to the new maximum.
void AttentionEmitter::softmaxRow(Value row) {
  Value hidden = b.splat(infinity(), vectorType), visible = b.sub(visibleKeys(row), firstKey);
  Values parts;
  Value most = hidden;
  for (int64_t key = 0; key < blockKeys; key += lanes) {
    Value part = b.load(vectorType, scores, {row, b.index(key)});
    Value seen = b.firstLanes(b.max(b.sub(visible, b.index(key)), b.index(0)), lanes);
    part = masked(part, row, key, seen);
    parts.push_back(arith::SelectOp::create(b, seen, part, hidden));
    most = arith::MaximumFOp::create(b, most, parts.back());
  }
  Value before = memref::LoadOp::create(b, maxima, row);
  Value maximum = vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF, most, before);
  memref::StoreOp::create(b, maximum, maxima, row);
  // A row that has seen nothing yet has no maximum: exp(-inf - 0) is 0, where
  // exp(-inf - -inf) would not be a number.
  Value nothing = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, infinity());
  Value base = b.splat(arith::SelectOp::create(b, nothing, b.zero(sum), maximum), vectorType);

  Value change = arith::SubFOp::create(b, b.splat(before, vectorType), base);
  Value rescale = math::ExpOp::create(b, change);
  Value total = b.load(vectorType, sums, {row, b.index(0)});
  total = arith::MulFOp::create(b, total, rescale);
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value weight = math::ExpOp::create(b, arith::SubFOp::create(b, part, base).getResult());
    b.store(weight, scores, {row, b.index(i * lanes)});
    total = arith::AddFOp::create(b, total, weight);
  }
  b.store(total, sums, {row, b.index(0)});
  forEachChunk(valueDepth, 1, [&](Chunk chunk) {
    Value output = b.load(vectorType, outputs, {row, chunk.offset});
    b.store(arith::MulFOp::create(b, output, rescale), outputs, {row, chunk.offset});
  });
}

/// O[row : row + blockRows, chunk] += S . value
void AttentionEmitter::accumulateRows(Value row, Chunk chunk) {
  Values before, columns;
  for (int64_t j = 0; j < chunk.vectors; ++j)
    columns.push_back(b.add(chunk.offset, j * lanes));
  for (int64_t i = 0; i < blockRows; ++i)
    for (Value column : columns)
      before.push_back(b.load(vectorType, outputs, {b.add(row, i), column}));
  Values after = b.loop(b.index(0), keyCount, 1, before, [&](Value key, ValueRange carried) {
    Values next(carried), values;
    for (auto [j, column] : llvm::enumerate(columns)) {
      int64_t tail = (int64_t)j + 1 == chunk.vectors ? chunk.tail : 0;
      values.push_back(
          loadWide(op.getValue(), {batch, keyHead, b.add(firstKey, key), column}, tail));
    }
    for (int64_t i = 0; i < blockRows; ++i) {
      Value weight = memref::LoadOp::create(b, scores, ValueRange{b.add(row, i), key});
      Value factor = b.splat(weight, vectorType);
      for (int64_t j = 0; j < chunk.vectors; ++j) {
        Value &output = next[i * chunk.vectors + j];
        output = vector::FMAOp::create(b, factor, values[j], output);
      }
    }
    return next;
  });
  for (int64_t i = 0; i < blockRows; ++i)
    for (auto [j, column] : llvm::enumerate(columns))
      b.store(after[i * chunk.vectors + j], outputs, {b.add(row, i), column});
}

/// out = O / sums; a row that saw no key is zero.
void AttentionEmitter::storeRow(Value row) {
  Value lanesTotal = b.load(vectorType, sums, {row, b.index(0)});
  Value total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, lanesTotal);
  Value one = arith::ConstantOp::create(b, b.getFloatAttr(sum, 1.0));
  Value empty = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, total, b.zero(sum));
  Value inverse =
      arith::DivFOp::create(b, one, arith::SelectOp::create(b, empty, one, total).getResult());
  Value factor = b.splat(inverse, vectorType);
  Value head = queryHead(row), query = position(row);
  Type element = typeOf(op.getInit()).getElementType();
  forEachChunk(valueDepth, 1, [&](Chunk chunk) {
    Value output = b.load(vectorType, outputs, {row, chunk.offset});
    Value result = b.convert(arith::MulFOp::create(b, output, factor), element);
    b.store(result, op.getInit(), {batch, head, query, chunk.offset}, tailMask(chunk.tail));
  });
}
