// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "AttentionEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace buddy;

/// Rows of one register tile; with `chunkVectors` vectors each, three quarters of the
/// registers.
constexpr int64_t registerRows = 6;
/// Rows that one packed block of keys serves.
constexpr int64_t mostTileRows = 96;
/// Keys of one block: with 64 values a head, block and scores stay in a 32 KiB cache.
constexpr int64_t keysOfBlock = 64;

constexpr double log2OfE = 1.4426950408889634;

static MemRefType typeOf(Value memref) { return cast<MemRefType>(memref.getType()); }

static bool allBF16(AttentionOp op) {
  return llvm::all_of(ValueRange{op.getQuery(), op.getKey(), op.getValue()},
                      [](Value operand) { return typeOf(operand).getElementType().isBF16(); });
}

/// The operand as [B,H,T,D], which may be a view.
Value AttentionEmitter::inOrder(AttentionOp::Part part) {
  SmallVector<int64_t> order = invertPermutationVector(op.layout(part));
  if (llvm::is_sorted(order))
    return op.part(part);
  AffineMap map = AffineMap::getPermutationMap(order, op.getContext());
  return memref::TransposeOp::create(b, op.part(part), AffineMapAttr::get(map));
}

AttentionEmitter::AttentionEmitter(LoopBuilder &b, AttentionOp op, Machine machine) : b(b), op(op) {
  queryHeads = inOrder(AttentionOp::Query);
  keyHeads = inOrder(AttentionOp::Key);
  valueHeads = inOrder(AttentionOp::Values);
  outHeads = inOrder(AttentionOp::Output);
  sum = typeOf(queryHeads).getElementType().isF64() ? b.getF64Type() : b.getF32Type();
  lanes = machine.vectorBits / sum.getWidth();
  dot = machine.hasBF16Dot && allBF16(op);
  word = dot ? Type(b.getI32Type()) : sum;
  perWord = dot ? 2 : 1;
  // The lowest number, as which a mask may hide keys, would overflow in units of ln 2.
  isBase2 = !op.getMask() || typeOf(op.getMask()).getElementType().isInteger(1);
  vectorType = VectorType::get(lanes, sum);
  wordsType = VectorType::get(lanes, word);
  chunkVectors = machine.vectorBits >= 512 ? 4 : 2;
  group = typeOf(queryHeads).getDimSize(1) / typeOf(keyHeads).getDimSize(1);
  depth = typeOf(queryHeads).getDimSize(3);
  valueDepth = typeOf(valueHeads).getDimSize(3);

  Value length = b.dim(keyHeads, 2);
  valid = op.getValid() ? b.min(op.getValid(), length) : length;
  queries = b.dim(queryHeads, 2);
  rowCount = b.mul(queries, group);
  std::optional<int64_t> known = constantOf(rowCount);
  tiles = dot && machine.hasBF16Tiles && lanes == AMXTile::columns &&
          (!known || *known >= AMXTile::fewestRows);
  int64_t most = tiles ? AMXTile::mostTiles * AMXTile::mostRows : registerRows;
  blockRows = known ? std::clamp<int64_t>(*known, 1, most) : most;
  if (tiles)
    blockRows = llvm::alignTo(blockRows, AMXTile::heightFor(blockRows));
  // Known rows are cut evenly: 128 go as 66 + 62.
  int64_t rows = known ? std::max<int64_t>(*known, 1) : mostTileRows;
  rows = llvm::divideCeil(rows, llvm::divideCeil(rows, mostTileRows));
  tileRows = llvm::alignTo(rows, blockRows);
  blockKeys = llvm::alignTo(keysOfBlock, chunkVectors * lanes);
}

SmallVector<OpFoldResult> AttentionEmitter::units() {
  Value tiles = b.div(b.add(rowCount, tileRows - 1), tileRows);
  return {b.dim(queryHeads, 0), b.dim(keyHeads, 1), tiles};
}

/// Threads take neighbouring tiles. The later ones of causal attention see more keys: they are
/// taken from both ends in turn, 0, n-1, 1, n-2, ...
Value AttentionEmitter::balanced(Value tile) {
  if (!op.getCausal())
    return tile;
  Value tiles = b.div(b.add(rowCount, tileRows - 1), tileRows), half = b.div(tile, 2);
  Value isOdd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, b.rem(tile, 2), b.index(0));
  Value fromEnd = b.sub(b.sub(tiles, b.index(1)), half);
  return arith::SelectOp::create(b, isOdd, fromEnd, half);
}

int64_t AttentionEmitter::paddedWords(int64_t elements) {
  return llvm::alignTo(llvm::divideCeil(elements, perWord), lanes);
}

void AttentionEmitter::allocateScratch() {
  auto allocateWords = [&](ArrayRef<int64_t> shape) { return WordMatrix(b, shape, word, tiles); };
  int64_t columns = llvm::alignTo(valueDepth, lanes);
  queryWords = allocateWords({tileRows, paddedWords(depth)});
  keyWords = allocateWords({paddedWords(depth), blockKeys});
  scores = b.scratch({blockRows, blockKeys}, sum);
  outputs = b.scratch({tileRows, columns}, sum);
  softmax.emplace(b, vectorType, isBase2);
  softmax->allocate(tileRows);
  weights = WordMatrix(scores);
  if (!dot)
    return;
  valueWords = allocateWords({blockKeys / perWord, columns});
  weights = allocateWords({blockRows, blockKeys / perWord});
  if (!tiles)
    return;
  tile.emplace(b, b.getBF16Type(), AMXTile::heightFor(blockRows));
  // Whole steps of the depth are multiplied: by zeros where a head ends.
  keyWords.clear(b, b.index(llvm::divideCeil(depth, perWord)), lanes);
}

/// The last row of the block that begins at `row`.
Value AttentionEmitter::lastRow(Value row) {
  return b.sub(b.min(b.add(row, blockRows), tileCount), b.index(1));
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

/// A vector of words of neighbouring elements, `tail` of them if that is not 0.
Value AttentionEmitter::loadWords(Value memref, ValueRange indices, int64_t tail) {
  if (!dot)
    return loadWide(memref, indices, tail);
  auto pairs = VectorType::get(2 * lanes, typeOf(memref).getElementType());
  Value mask = tail ? b.firstLanes(b.index(tail), 2 * lanes) : Value();
  return vector::BitCastOp::create(b, wordsType, b.load(pairs, memref, indices, mask));
}

/// sums[i] + the products of the elements of `word` and of words[i]
Value AttentionEmitter::multiplyAdd(Value word, Value words, Value sums) {
  Value factor = b.splat(word, wordsType);
  if (!dot)
    return vector::FMAOp::create(b, factor, words, sums);
  auto pairs = VectorType::get(2 * lanes, b.getBF16Type());
  return b.dot(sums, vector::BitCastOp::create(b, pairs, factor),
               vector::BitCastOp::create(b, pairs, words));
}

/// Cuts a head into vectors of words: an offset counts words, a tail elements.
void AttentionEmitter::forEachWords(function_ref<void(Chunk)> body) {
  int64_t width = lanes * perWord, whole = depth / width * lanes;
  b.loop(b.index(0), b.index(whole), lanes, [&](Value offset) { body({offset, 1, /*tail=*/0}); });
  if (int64_t rest = depth % width)
    body({b.index(whole), 1, rest});
}

void AttentionEmitter::emitTile(Value tileBatch, Value tileKeyHead, Value tile) {
  batch = tileBatch;
  keyHead = tileKeyHead;
  firstRow = b.mul(balanced(tile), tileRows);
  tileCount = b.min(b.index(tileRows), b.sub(rowCount, firstRow));
  allocateScratch();
  loadQueries();
  // The last row of a causal tile sees most.
  Value end = visibleKeys(b.sub(tileCount, b.index(1)));
  b.loop(b.index(0), end, blockKeys, [&](Value key) {
    firstKey = key;
    keyCount = b.min(b.index(blockKeys), b.sub(end, key));
    emitKeys();
  });
  b.loop(b.index(0), tileCount, 1, [&](Value row) { storeRow(row); });
}

/// What the block of keys at hand adds to all rows of the tile.
void AttentionEmitter::emitKeys() {
  packKeys();
  if (dot)
    packValues();
  if (tiles)
    valueWords.clear(b, b.div(b.add(keyCount, perWord - 1), perWord), lanes);
  b.loop(b.index(0), tileCount, blockRows, [&](Value first) {
    row = first;
    Value seen = b.sub(visibleKeys(lastRow(row)), firstKey);
    seenCount = b.min(keyCount, seen);
    if (!op.getCausal())
      return emitBlock();
    Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, seen, b.index(0));
    b.when(some, [&] { emitBlock(); });
  });
}

/// Queries in words, zero outputs and sums. Rows that only fill up the last register tile
/// are zeros.
void AttentionEmitter::loadQueries() {
  Value zero = b.zero(vectorType), zeros = b.zero(wordsType);
  b.loop(b.index(0), b.min(b.index(tileRows), b.add(tileCount, blockRows - 1)), 1, [&](Value row) {
    b.forEachChunk(paddedWords(depth), 1, lanes,
                   [&](Chunk chunk) { b.store(zeros, queryWords.words, {row, chunk.offset}); });
    b.forEachChunk(valueDepth, 1, lanes,
                   [&](Chunk chunk) { b.store(zero, outputs, {row, chunk.offset}); });
    softmax->reset(row);
  });
  b.loop(b.index(0), tileCount, 1, [&](Value row) {
    Value head = queryHead(row), query = position(row);
    forEachWords([&](Chunk chunk) {
      Value element = b.mul(chunk.offset, perWord);
      Value loaded = loadWords(queryHeads, {batch, head, query, element}, chunk.tail);
      b.store(loaded, queryWords.words, {row, chunk.offset});
    });
  });
}

void AttentionEmitter::packKeys() {
  b.loop(b.index(0), keyCount, lanes,
         [&](Value key) { forEachWords([&](Chunk chunk) { packKeyGroup(key, chunk); }); });
}

/// keyWords[offset + i, group of keys] for the i-th word of each head. A key past the last one
/// reads the last one again: its score is masked, but its memory may not exist.
void AttentionEmitter::packKeyGroup(Value key, Chunk chunk) {
  Value last = b.sub(valid, b.index(1)), offset = b.mul(chunk.offset, perWord);
  Values square;
  for (int64_t i = 0; i < lanes; ++i) {
    Value position = b.min(b.add(b.add(firstKey, key), i), last);
    square.push_back(loadWords(keyHeads, {batch, keyHead, position, offset}, chunk.tail));
  }
  b.transpose(square);
  int64_t words = chunk.tail ? llvm::divideCeil(chunk.tail, perWord) : lanes;
  for (int64_t i = 0; i < words; ++i)
    b.store(square[i], keyWords.words, {b.add(chunk.offset, i), key});
}

/// valueWords[i, column] = the values of keys 2i and 2i + 1. The second may not exist: its weight
/// is zero, and it reads the first again.
void AttentionEmitter::packValues() {
  Value last = b.sub(valid, b.index(1));
  b.loop(b.index(0), keyCount, perWord, [&](Value key) {
    Value even = b.add(firstKey, key), odd = b.min(b.add(even, 1), last);
    b.forEachChunk(valueDepth, 1, lanes, [&](Chunk chunk) {
      auto load = [&](Value position) {
        return b.load(VectorType::get(lanes, b.getBF16Type()), valueHeads,
                      {batch, keyHead, position, chunk.offset}, tailMask(chunk.tail));
      };
      Value pairs = vector::InterleaveOp::create(b, load(even), load(odd));
      b.store(vector::BitCastOp::create(b, wordsType, pairs), valueWords.words,
              {b.div(key, perWord), chunk.offset});
    });
  });
}

/// A block of rows and a block of keys: O += exp(S - max) . V
void AttentionEmitter::emitBlock() {
  if (tiles)
    multiplyTiles(queryWords, row, keyWords, scores, b.index(0), /*adds=*/false);
  else
    scoreRows();
  Value count = b.min(b.index(blockRows), b.sub(tileCount, row));
  b.loop(b.index(0), count, 1, [&](Value index) { softmaxRow(index); });
  if (tiles)
    return multiplyTiles(weights, b.index(0), valueWords, outputs, row, /*adds=*/true);
  b.forEachChunk(valueDepth, chunkVectors, lanes, [&](Chunk chunk) { accumulateRows(chunk); });
}

/// S = Q . Kt
void AttentionEmitter::scoreRows() {
  b.forEachChunk(blockKeys, chunkVectors, lanes, [&](Chunk chunk) {
    Values zeros(blockRows * chunk.vectors, b.zero(vectorType));
    Value words = b.index(llvm::divideCeil(depth, perWord));
    Values total = b.loop(b.index(0), words, 1, zeros, [&](Value d, ValueRange carried) {
      Values next(carried), keys;
      for (int64_t j = 0; j < chunk.vectors; ++j)
        keys.push_back(b.load(wordsType, keyWords.words, {d, b.add(chunk.offset, j * lanes)}));
      for (int64_t i = 0; i < blockRows; ++i) {
        Value query = memref::LoadOp::create(b, queryWords.words, ValueRange{b.add(row, i), d});
        for (int64_t j = 0; j < chunk.vectors; ++j) {
          Value &score = next[i * chunk.vectors + j];
          score = multiplyAdd(query, keys[j], score);
        }
      }
      return next;
    });
    for (int64_t i = 0; i < blockRows; ++i)
      for (int64_t j = 0; j < chunk.vectors; ++j)
        b.store(total[i * chunk.vectors + j], scores, {b.index(i), b.add(chunk.offset, j * lanes)});
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
  bool same = type.getShape().back() == 1 && typeOf(keyHeads).getDimSize(2) != 1;
  Value element = same ? b.splat(memref::LoadOp::create(b, mask, indices), lanesType)
                       : b.load(lanesType, mask, indices, seen);
  if (type.getElementType().isInteger(1))
    return arith::SelectOp::create(b, element, score, softmax->hidden());
  return arith::AddFOp::create(b, score, b.convert(element, sum));
}

/// The scores of the row at `index` of the block become weights.
void AttentionEmitter::softmaxRow(Value index) {
  Value row = b.add(this->row, index), visible = b.sub(visibleKeys(row), firstKey);
  double factor = op.getScale().convertToDouble() * (isBase2 ? log2OfE : 1);
  Value scale =
      arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, b.getFloatAttr(sum, factor)));
  Values parts;
  for (int64_t key = 0; key < blockKeys; key += lanes) {
    Value part = b.load(vectorType, scores, {index, b.index(key)});
    Value seen = b.firstLanes(b.max(b.sub(visible, b.index(key)), b.index(0)), lanes);
    part = masked(arith::MulFOp::create(b, part, scale), row, key, seen);
    parts.push_back(arith::SelectOp::create(b, seen, part, softmax->hidden()));
  }
  parts = softmax->update(row, parts, [&](Value factor) {
    b.forEachChunk(valueDepth, 1, lanes, [&](Chunk chunk) {
      Value output = b.load(vectorType, outputs, {row, chunk.offset});
      b.store(arith::MulFOp::create(b, output, factor), outputs, {row, chunk.offset});
    });
  });
  for (auto [i, weight] : llvm::enumerate(parts))
    storeWeights(index, i * lanes, weight);
}

void AttentionEmitter::storeWeights(Value index, int64_t key, Value weight) {
  if (!dot)
    return b.store(weight, weights.words, {index, b.index(key)});
  Value pairs = vector::BitCastOp::create(b, VectorType::get(lanes / perWord, word),
                                          b.convert(weight, b.getBF16Type()));
  b.store(pairs, weights.words, {index, b.index(key / perWord)});
}

/// One vector of words of the values of `key`, counted in words, within the block.
Value AttentionEmitter::loadValues(Value key, Value column, int64_t tail) {
  if (dot)
    return b.load(wordsType, valueWords.words, {key, column});
  return loadWide(valueHeads, {batch, keyHead, b.add(firstKey, key), column}, tail);
}

/// O[rows, chunk] += weights . V
void AttentionEmitter::accumulateRows(Chunk chunk) {
  Values before, columns;
  for (int64_t j = 0; j < chunk.vectors; ++j)
    columns.push_back(b.add(chunk.offset, j * lanes));
  for (int64_t i = 0; i < blockRows; ++i)
    for (Value column : columns)
      before.push_back(b.load(vectorType, outputs, {b.add(row, i), column}));
  Value words = b.div(b.add(seenCount, perWord - 1), perWord);
  Values after = b.loop(b.index(0), words, 1, before, [&](Value key, ValueRange carried) {
    Values next(carried), values;
    for (auto [j, column] : llvm::enumerate(columns))
      values.push_back(loadValues(key, column, (int64_t)j + 1 == chunk.vectors ? chunk.tail : 0));
    for (int64_t i = 0; i < blockRows; ++i) {
      Value weight = memref::LoadOp::create(b, weights.words, ValueRange{b.index(i), key});
      for (int64_t j = 0; j < chunk.vectors; ++j) {
        Value &output = next[i * chunk.vectors + j];
        output = multiplyAdd(weight, values[j], output);
      }
    }
    return next;
  });
  for (int64_t i = 0; i < blockRows; ++i)
    for (auto [j, column] : llvm::enumerate(columns))
      b.store(after[i * chunk.vectors + j], outputs, {b.add(row, i), column});
}

/// out = O / sum of weights; a row that saw no key is zero.
void AttentionEmitter::storeRow(Value row) {
  Value head = queryHead(row), query = position(row), factor = softmax->normalizer(row);
  Type element = typeOf(outHeads).getElementType();
  b.forEachChunk(valueDepth, 1, lanes, [&](Chunk chunk) {
    Value output = b.load(vectorType, outputs, {row, chunk.offset});
    Value result = b.convert(arith::MulFOp::create(b, output, factor), element);
    b.store(result, outHeads, {batch, head, query, chunk.offset}, tailMask(chunk.tail));
  });
}
