// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RightHandSide.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace buddy;

using Values = LoopBuilder::Values;

RightHandSide::RightHandSide(LoopBuilder &b, Value packed, const ProductTiling &tiling)
    : b(b), tiling(tiling), element(getElementTypeOrSelf(packed)) {
  // [N/nr, K/kr, nr, kr] seen as [N/nr, K/kr, nr * kr]: one row is one step.
  SmallVector<ReassociationIndices> steps{{0}, {1}, {2, 3}};
  panels = memref::CollapseShapeOp::create(b, packed, steps);
}

RightHandSide::RightHandSide(LoopBuilder &b, Value matrix, bool transposed, int64_t depth,
                             const ProductTiling &tiling)
    : b(b), tiling(tiling), element(getElementTypeOrSelf(matrix)), matrix(matrix),
      transposed(transposed) {
  if (depth == 0)
    return;
  // Whole squares of a transposed matrix are stored: there is room for the last one.
  int64_t steps = llvm::alignTo(llvm::divideCeil(depth, tiling.kr), tiling.lanes);
  int64_t count = std::max<int64_t>(1, packedColumns / tiling.width());
  panels = b.scratch({count, steps, tiling.width() * tiling.kr}, element);
}

void RightHandSide::forEachPanel(Value first, Value end, function_ref<void()> body) {
  std::optional<int64_t> known = constantOf(end);
  int64_t width = tiling.width(), rest = known ? *known % width : 0;
  bool isNarrow = rest != 0 && rest <= width - tiling.lanes && !tiling.tiles;
  Value number = b.div(b.add(end, isNarrow ? 0 : width - 1), width);
  b.loop(b.div(first, width), number, 1, [&](Value n) {
    Value column = b.mul(n, width);
    startPanel(n, column, b.sub(end, column), known && (rest == 0 || isNarrow));
    body();
  });
  if (isNarrow)
    emitLastPanel(number, rest, body);
}

/// A panel of `count` columns, whose last vectors stay unused: other rows take their registers.
void RightHandSide::emitLastPanel(Value number, int64_t count, function_ref<void()> body) {
  ProductTiling whole = tiling;
  Value column = b.mul(number, whole.width());
  tiling.setVectors(llvm::divideCeil(count, whole.lanes));
  startPanel(number, column, b.index(count), count % whole.lanes == 0);
  body();
  tiling = whole;
}

void RightHandSide::forEachPanelOfGroup(Value first, int64_t count, Value firstPanel,
                                        function_ref<void()> body) {
  int64_t width = tiling.width();
  b.loop(b.index(0), b.index(llvm::divideCeil(count, width)), 1, [&](Value n) {
    Value before = b.mul(n, width), left = b.sub(b.index(count), before);
    startPanel(b.add(firstPanel, n), b.add(first, before), left, count % width == 0);
    body();
  });
}

/// A panel of `left` columns, from `column` on.
void RightHandSide::startPanel(Value number, Value column, Value left, bool isWhole) {
  panel = number;
  columns.clear();
  masks.clear();
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Value before = b.index(j * tiling.lanes);
    columns.push_back(b.add(column, before));
    masks.push_back(isWhole ? Value() : b.firstLanes(b.sub(left, before), tiling.lanes));
  }
}

/// Row by row, so that all columns of one are read while its page and lines are at hand.
void RightHandSide::packPanels(Value from, Value depth, Value first, Value end) {
  firstPacked = b.div(first, tiling.width());
  if (transposed)
    return forEachPanel(first, end, [&] { packTransposed(from, depth); });
  b.loop(b.index(0), b.div(b.add(depth, tiling.kr - 1), tiling.kr), 1,
         [&](Value step) { forEachPanel(first, end, [&] { packStep(from, depth, step); }); });
}

/// One vector of a row of the right-hand side.
Value RightHandSide::loadRow(Value k, int64_t vector) {
  Values indices(batch);
  indices.append({k, columns[vector]});
  fetchNext(indices);
  return b.load(VectorType::get(tiling.lanes, element), matrix, indices, masks[vector]);
}

/// Asks for what will be packed after the panels at hand, to come while those are multiplied.
void RightHandSide::fetchNext(Values indices) {
  if (!nextColumns)
    return;
  Value &k = transposed ? indices.back() : indices[indices.size() - 2];
  Value &column = transposed ? indices[indices.size() - 2] : indices.back();
  k = b.add(k, nextDepth);
  column = b.add(column, nextColumns);
  b.prefetch(matrix, indices);
}

/// Vectors along the columns; the elements of a step's rows take turns. Past the end stand zeros.
void RightHandSide::packStep(Value from, Value depth, Value step) {
  std::optional<int64_t> known = constantOf(depth);
  bool isWhole = known && *known % tiling.kr == 0;
  for (int64_t j = 0; j < tiling.vectors; ++j) {
    Values rows;
    for (int64_t part = 0; part < tiling.kr; ++part) {
      Value k = b.add(b.mul(step, tiling.kr), part);
      auto load = [&] { return loadRow(b.add(from, k), j); };
      if (part == 0 || isWhole) {
        rows.push_back(load());
        continue;
      }
      Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, k, depth);
      Values zero{b.zero(rows[0].getType())};
      rows.push_back(b.when(exists, zero, [&] { return Values{load()}; })[0]);
    }
    for (int64_t half = tiling.kr / 2; half > 0; half /= 2)
      for (int64_t i = 0; i < half; ++i)
        rows[i] = vector::InterleaveOp::create(b, rows[i], rows[i + half]);
    storeStep(step, j, rows[0]);
  }
}

/// Squares of words, an element or a pair of them, transposed in registers.
void RightHandSide::packTransposed(Value from, Value depth) {
  auto type = VectorType::get(tiling.lanes * tiling.kr, element);
  auto words =
      VectorType::get(tiling.lanes, b.getIntegerType(element.getIntOrFloatBitWidth() * tiling.kr));
  Value zero = b.index(0);
  b.loop(zero, depth, tiling.lanes * tiling.kr, [&](Value k) {
    Value left = b.sub(depth, k), step = b.div(k, tiling.kr);
    for (int64_t j = 0; j < tiling.vectors; ++j) {
      Values rows;
      for (int64_t i = 0; i < tiling.lanes; ++i) {
        Values indices(batch);
        indices.append({b.add(columns[j], i), b.add(from, k)});
        fetchNext(indices);
        Value some = left;
        if (masks[j]) {
          Value exists = vector::ExtractOp::create(b, masks[j], ArrayRef<int64_t>{i});
          some = arith::SelectOp::create(b, exists, left, zero);
        }
        Value row = b.load(type, matrix, indices, b.firstLanes(some, type.getDimSize(0)));
        rows.push_back(vector::BitCastOp::create(b, words, row));
      }
      b.transpose(rows);
      for (int64_t i = 0; i < tiling.lanes; ++i)
        storeStep(b.add(step, i), j, vector::BitCastOp::create(b, type, rows[i]));
    }
  });
}

Value RightHandSide::place() { return matrix ? b.sub(panel, firstPacked) : panel; }

/// One vector of a step of the scratch.
void RightHandSide::storeStep(Value step, int64_t vector, Value value) {
  b.store(value, panels, {place(), step, b.index(vector * tiling.kr * tiling.lanes)});
}

/// In all panels, in the scratch, or in the matrix.
Values RightHandSide::placeOf(Value step, int64_t vector) {
  if (panels)
    return {place(), step, b.index(vector * tiling.kr * tiling.lanes)};
  Values indices(batch);
  indices.append({step, columns[vector]});
  return indices;
}

Value RightHandSide::loadStep(Value step, int64_t vector) {
  Value memref = panels ? panels : matrix;
  auto type = VectorType::get(tiling.kr * tiling.lanes, element);
  // Of the last rows or panels that is past the end, where a fetch does nothing.
  if (ahead != 0)
    b.prefetch(memref, placeOf(b.add(step, ahead), vector));
  return b.load(type, memref, placeOf(step, vector), panels ? Value() : masks[vector]);
}

/// After the last panel that is past the end, or what another thread reads.
void RightHandSide::fetchNextPanel(Value step, Value vector) {
  b.prefetch(panels, {b.add(place(), 1), step, b.mul(vector, tiling.kr * tiling.lanes)});
}
