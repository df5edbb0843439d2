// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductTiling.h"

#include "AMXTile.h"
#include "MatmulBlocking.h"

using namespace mlir;
using namespace buddy;

int64_t buddy::registersForSums(int64_t vectorBits) { return vectorBits >= 512 ? 24 : 12; }

ProductTiling::ProductTiling(Type lhs, MemRefType panels, Machine machine)
    : rows(machine.rows), kr(panels.getDimSize(3)) {
  setLanes(lhs, panels.getElementType(), panels.getDimSize(2), machine);
  if (rows == 0)
    rows = std::max<int64_t>(1, registersForSums(machine.vectorBits) / vectors);
}

ProductTiling::ProductTiling(Type lhs, Type rhs, std::optional<int64_t> knownRows, Machine machine)
    : rows(machine.rows) {
  int64_t sums = registersForSums(machine.vectorBits), widest = 8;
  bool few = knownRows && *knownRows <= std::min(sums / 2, kFewRows);
  int64_t across = few ? llvm::bit_floor<uint64_t>(sums / std::max<int64_t>(*knownRows, 1)) : 2;
  kr = lhs.isInteger(8) ? 4 : machine.hasBF16Dot && !few && lhs.isBF16() && rhs.isBF16() ? 2 : 1;
  setLanes(lhs, rhs, std::min(across, widest) * machine.vectorBits / 32, machine);
  if (rows == 0)
    rows = std::max<int64_t>(1, sums / vectors);
}

void ProductTiling::setLanes(Type lhs, Type rhs, int64_t width, Machine machine) {
  Builder b(lhs.getContext());
  sum = lhs.isInteger(8)             ? Type(b.getI32Type())
        : lhs.isF64() || rhs.isF64() ? Type(b.getF64Type())
                                     : Type(b.getF32Type());
  lanes = machine.vectorBits / sum.getIntOrFloatBitWidth();
  while (width % lanes != 0)
    lanes /= 2;
  vectors = width / lanes;
  bool isDotWidth = llvm::is_contained({128, 256, 512}, lanes * 32);
  bool ofPairs = machine.hasBF16Dot && kr == 2 && lhs.isBF16() && rhs.isBF16();
  shifts = lhs.isInteger(8);
  dot = isDotWidth && (ofPairs || shifts);
  bool hasTiles = shifts ? machine.hasInt8Tiles : machine.hasBF16Tiles;
  tiles = dot && hasTiles && lanes == AMXTile::columns && vectors <= AMXTile::mostTiles;
}

int64_t buddy::evenRows(int64_t count, int64_t most) {
  int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(count, most));
  return std::max<int64_t>(1, llvm::divideCeil(count, tiles));
}

void ProductTiling::setVectors(int64_t count) {
  constexpr int64_t mostRows = 12; // of which memory is read side by side
  rows = std::clamp<int64_t>(rows * vectors / count, 1, mostRows);
  vectors = count;
}

/// Whether the CPU adds up products of signed bytes, and lhs, rhs and out are such.
static bool isOfBytes(Value lhs, Value rhs, Value out, const ProductTiling::Machine &machine) {
  return machine.hasInt8Dot && getElementTypeOrSelf(lhs).isInteger(8) &&
         getElementTypeOrSelf(rhs).isInteger(8) && getElementTypeOrSelf(out).isInteger(32);
}

StringRef buddy::refuseProduct(Value lhs, Value rhs, Value out,
                               const ProductTiling::Machine &machine) {
  bool ofBytes = isOfBytes(lhs, rhs, out, machine);
  for (Value operand : {lhs, rhs, out}) {
    if (!isa<MemRefType>(operand.getType()))
      return "operands are tensors: bufferize first";
    if (!ofBytes && !isa<FloatType>(getElementTypeOrSelf(operand)))
      return "only floats, and bytes where the CPU adds up theirs, have a register tile";
  }
  if (!hasUnitInnerStride(lhs) || !hasUnitInnerStride(out))
    return "rows of lhs and init must be contiguous";
  auto type = cast<MemRefType>(rhs.getType());
  if (type.getRank() < 4)
    return hasUnitInnerStride(rhs) ? "" : "rows of rhs must be contiguous";
  if (!type.areTrailingDimsContiguous(2))
    return "the panels of rhs must be contiguous";
  int64_t kr = type.getDimSize(3);
  bool isPacked = ofBytes ? kr == 4 && type.getDimSize(2) % 4 == 0
                          : kr == 1 || (kr == 2 && type.getElementType().isBF16());
  return isPacked ? "" : "panels are packed by single depths, bf16 also by pairs, bytes by fours";
}
