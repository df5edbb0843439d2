// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MatmulBlocking.h"

#include "AMXTile.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <numeric>

using namespace mlir;
using namespace buddy;

/// Bytes of a row of a block: a panel of 32 columns of it fills an L1 cache, 288 rows a part of L2.
constexpr int64_t kRowBytes = 1024;

/// The same for AMX's tiles, which read a panel from L2.
constexpr int64_t kRowBytesOfTiles = 2048;

/// Addresses that differ by a multiple of this share a set of the L1 cache: a page, since x86
/// looks the set up before it translates the address.
constexpr int64_t kSetPeriod = 4096;

/// Lines of a set that rows may take; there are at least eight, and panels pass through too.
constexpr int64_t kLinesOfSet = 6;

/// Rows of a streamed right-hand side that are read side by side: memory is asked for the next
/// ones.
constexpr int64_t kStreamedRows = 8;

/// Bytes of a right-hand side that may not be in the caches.
constexpr int64_t kUncachedBytes = 1 << 20;

/// Elements from one row to the next, if known.
static std::optional<int64_t> rowStride(ShapedType type) {
  int64_t stride = type.getShape().back();
  if (auto memref = dyn_cast<MemRefType>(type)) {
    auto [strides, offset] = memref.getStridesAndOffset();
    stride = strides[strides.size() - 2];
  }
  return ShapedType::isDynamic(stride) ? std::nullopt : std::optional(stride);
}

/// Whether the rows that a register tile reads side by side push each other out of the L1 cache.
static bool rowsCollide(ShapedType lhs) {
  std::optional<int64_t> stride = rowStride(lhs);
  int64_t rows = lhs.getShape()[lhs.getRank() - 2];
  if (!stride || (!ShapedType::isDynamic(rows) && rows <= kLinesOfSet))
    return false;
  int64_t bytes = *stride * lhs.getElementTypeBitWidth() / 8;
  int64_t sets = kSetPeriod / std::gcd(std::max<int64_t>(bytes, 1), kSetPeriod);
  return kRegisterRows > sets * kLinesOfSet;
}

/// Bytes of an operand, of which a tile sees some rows or columns, if they are known.
static std::optional<int64_t> bytesOf(Value operand) {
  if (auto tile = operand.getDefiningOp<memref::SubViewOp>())
    operand = tile.getSource();
  auto type = cast<ShapedType>(operand.getType());
  if (!type.hasStaticShape())
    return std::nullopt;
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

bool buddy::comesFromMemory(Value operand) {
  return bytesOf(operand).value_or(kUncachedBytes + 1) > kUncachedBytes;
}

/// Whether the left-hand side comes from memory and is the larger operand.
static bool streamsLeft(MatmulOp op) {
  std::optional<int64_t> left = bytesOf(op.getLhs()), right = bytesOf(op.getRhs());
  return left && right && *left > kUncachedBytes && *left > *right;
}

/// Rows for which a transposition, which serves all of them, would not pay, and those whose
/// blocks read each row of rhs too often, from the caches.
constexpr int64_t kFewRowsAlong = 8, kMostRowsAlong = 48;

/// Bytes of lhs that are read from a part of L2, again and again.
constexpr int64_t kBytesAlong = 256 << 10;

/// Bytes of a row in which adding up lanes is a small part of the work.
constexpr int64_t kLongRowBytes = 1536;

bool buddy::isAlongRows(MatmulOp op) {
  auto lhs = cast<ShapedType>(op.getLhs().getType());
  int64_t rows = lhs.getShape()[lhs.getRank() - 2], depth = lhs.getShape().back();
  if (ShapedType::isDynamic(rows) || !isa<FloatType>(getElementTypeOrSelf(op.getInit())))
    return false;
  int64_t rowBytes = depth * lhs.getElementTypeBitWidth() / 8;
  bool isLong = !ShapedType::isDynamic(depth) && rowBytes >= kLongRowBytes;
  return rows <= kFewRowsAlong ||
         (rows <= kMostRowsAlong && isLong && rows * rowBytes <= kBytesAlong);
}

bool buddy::fillsTiles(MatmulOp op, int64_t amxRows) {
  auto lhs = cast<ShapedType>(op.getLhs().getType());
  int64_t rows = lhs.getShape()[lhs.getRank() - 2];
  bool hasTiles =
      amxRows > 1 && (lhs.getElementType().isBF16() || lhs.getElementType().isInteger(8));
  return hasTiles && (ShapedType::isDynamic(rows) || rows >= AMXTile::fewestRows);
}

MatmulBlocking::MatmulBlocking(MatmulOp op, int64_t amxRows) {
  auto lhs = cast<ShapedType>(op.getLhs().getType()),
       out = cast<ShapedType>(op.getInit().getType());
  int64_t columns = out.getShape().back(), extent = lhs.getShape().back();
  int64_t rows = out.getShape().rbegin()[1];
  comesFromMemory = buddy::comesFromMemory(op.getRhs());
  alongRows = !op.isPacked() && op.getTransposed() && isAlongRows(op);
  if (alongRows)
    return;
  bool isFew = !ShapedType::isDynamic(rows) && rows <= kFewRows;
  if (comesFromMemory && isFew && !op.isPacked() && !op.getTransposed() &&
      (ShapedType::isDynamic(extent) || extent > kStreamedRows)) {
    streams = true;
    depth = kStreamedRows;
    waitsAside = out.getElementTypeBitWidth() < 32;
    return;
  }
  // A copy of a row pays for itself when several panels read it, and lines of it several times:
  // AMX's tiles load a line of lhs once a panel.
  bool isWide = ShapedType::isDynamic(columns) || columns >= 96, byTiles = fillsTiles(op, amxRows);
  copiesLhs = isWide && !byTiles && rowsCollide(lhs);
  streamsLhs = op.isPacked() && streamsLeft(op);
  if (op.isPacked() && (byTiles || !(copiesLhs || streamsLhs)))
    return;
  int64_t block = (byTiles ? kRowBytesOfTiles : kRowBytes) * 8 / lhs.getElementTypeBitWidth();
  if (ShapedType::isDynamic(extent))
    depth = block;
  else if (extent > block + block / 2)
    // Known depths are cut evenly, in whole cache lines.
    depth = llvm::alignTo(llvm::divideCeil(extent, llvm::divideCeil(extent, block)), 32);
  waitsAside = depth != 0 && out.getElementTypeBitWidth() < 32;
}
