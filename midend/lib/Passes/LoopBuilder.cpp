// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "LoopBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace buddy;

void LoopBuilder::transpose(MutableArrayRef<Value> rows) {
  int64_t size = rows.size();
  for (int64_t bit = 1; bit < size; bit *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < size; ++lane) {
      low.push_back(lane & bit ? size + lane - bit : lane);
      high.push_back(lane & bit ? size + lane : lane + bit);
    }
    for (int64_t row = 0; row < size; ++row) {
      if (row & bit)
        continue;
      Value first = rows[row], second = rows[row + bit];
      rows[row] = vector::ShuffleOp::create(*this, first, second, low);
      rows[row + bit] = vector::ShuffleOp::create(*this, first, second, high);
    }
  }
}

LoopBuilder::Values LoopBuilder::reorder(ValueRange vectors,
                                         function_ref<int64_t(int64_t)> source) {
  int64_t size = cast<VectorType>(vectors[0].getType()).getNumElements(), count = vectors.size();
  Values results;
  for (int64_t result = 0; result < count; ++result) {
    Value merged = vectors[0]; // with what the vectors before the next one have of the result
    for (int64_t next = 1; next < count; ++next) {
      SmallVector<int64_t> picks;
      for (int64_t lane = 0; lane < size; ++lane) {
        int64_t from = source(result * size + lane), vector = from / size, place = from % size;
        int64_t before = next == 1 ? place : lane;
        picks.push_back(vector == next  ? size + place
                        : vector < next ? before
                                        : vector::ShuffleOp::kPoisonIndex);
      }
      merged = vector::ShuffleOp::create(*this, merged, vectors[next], picks);
    }
    results.push_back(merged);
  }
  return results;
}

std::optional<int64_t> buddy::constantOf(Value value) { return getConstantIntValue(value); }

Value buddy::findBuffer(Value memref) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
    memref = view.getViewSource();
  return memref;
}

bool buddy::hasUnitInnerStride(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  return type.getRank() == 0 || type.areTrailingDimsContiguous(1);
}

void buddy::missed(Operation *op, StringRef pass, StringRef reason) {
  remark::missed(op->getLoc(), remark::RemarkOpts::name("NotVectorized").category(pass)) << reason;
}

LogicalResult buddy::missed(PatternRewriter &rewriter, Operation *op, StringRef pass,
                            StringRef reason) {
  missed(op, pass, reason);
  return rewriter.notifyMatchFailure(op, reason);
}

Value LoopBuilder::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }
Value LoopBuilder::add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
Value LoopBuilder::sub(Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); }
Value LoopBuilder::mul(Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); }
Value LoopBuilder::min(Value a, Value b) { return createOrFold<arith::MinSIOp>(a, b); }
Value LoopBuilder::max(Value a, Value b) { return createOrFold<arith::MaxSIOp>(a, b); }

// Extents are never negative, so the unsigned forms hold: they become shifts and masks.
Value LoopBuilder::div(Value a, int64_t b) { return createOrFold<arith::DivUIOp>(a, index(b)); }
Value LoopBuilder::rem(Value a, int64_t b) { return createOrFold<arith::RemUIOp>(a, index(b)); }

Value LoopBuilder::dim(Value memref, int64_t dimension) {
  return createOrFold<memref::DimOp>(memref, index(dimension));
}

/// How often a loop runs if that is known and is 0 or 1, else nothing.
static std::optional<bool> runsOnce(Value from, Value to, int64_t step) {
  std::optional<int64_t> first = constantOf(from), end = constantOf(to);
  if (!first || !end || *first + step < *end)
    return std::nullopt;
  return *first < *end;
}

void LoopBuilder::loop(Value from, Value to, int64_t step, function_ref<void(Value)> body) {
  loop(from, to, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

LoopBuilder::Values LoopBuilder::loop(Value from, Value to, int64_t step, ValueRange carried,
                                      function_ref<Values(Value, ValueRange)> body) {
  if (std::optional<bool> once = runsOnce(from, to, step))
    return *once ? body(from, carried) : Values(carried);
  auto loop = scf::ForOp::create(*this, from, to, index(step), carried);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  // Without carried values the loop comes with its terminator.
  if (!carried.empty())
    scf::YieldOp::create(*this, next);
  return Values(loop.getResults());
}

void LoopBuilder::keepRolled(Value iv) {
  scf::ForOp loop = scf::getForInductionVarOwner(iv);
  if (!loop)
    return;
  auto unroll = LLVM::LoopUnrollAttr::get(getContext(), /*disable=*/getBoolAttr(true),
                                          /*count=*/{}, /*runtimeDisable=*/{}, /*full=*/{},
                                          /*followups=*/{}, {}, {});
  loop->setAttr(LLVM::LoopAnnotationAttr::getMnemonic(),
                LLVM::LoopAnnotationAttr::get(getContext(), {}, {}, {}, unroll, {}, {}, {}, {}, {},
                                              {}, {}, {}, {}, {}, {}));
}

LoopBuilder::Values LoopBuilder::when(Value condition, ValueRange otherwise,
                                      function_ref<Values()> then) {
  if (std::optional<int64_t> known = constantOf(condition))
    return *known ? then() : Values(otherwise);
  auto branch = scf::IfOp::create(*this, otherwise.getTypes(), condition, !otherwise.empty());
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  Values results = then();
  if (otherwise.empty())
    return {};
  scf::YieldOp::create(*this, results);
  setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(*this, otherwise);
  return Values(branch.getResults());
}

void LoopBuilder::when(Value condition, function_ref<void()> then) {
  when(condition, {}, [&] {
    then();
    return Values();
  });
}

Value LoopBuilder::sum(Value a, Value b) {
  if (isa<FloatType>(getElementTypeOrSelf(a)))
    return arith::AddFOp::create(*this, a, b);
  return arith::AddIOp::create(*this, a, b);
}

void LoopBuilder::forEachChunk(int64_t extent, int64_t vectors, int64_t lanes,
                               function_ref<void(Chunk)> body) {
  int64_t width = vectors * lanes, whole = extent / width * width;
  loop(index(0), index(whole), width, [&](Value offset) { body({offset, vectors, /*tail=*/0}); });
  if (int64_t rest = extent - whole)
    body({index(whole), (int64_t)llvm::divideCeil(rest, lanes), rest % lanes});
}

Value LoopBuilder::zero(Type type) { return arith::ConstantOp::create(*this, getZeroAttr(type)); }

Value LoopBuilder::splat(Value scalar, VectorType type) {
  return vector::BroadcastOp::create(*this, type, scalar);
}

Value LoopBuilder::convert(Value value, Type elementType) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == elementType)
    return value;
  Type to = elementType;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    to = vector.clone(elementType);
  bool widens = from.getIntOrFloatBitWidth() < elementType.getIntOrFloatBitWidth();
  if (isa<IntegerType>(elementType))
    return widens ? Value(arith::ExtSIOp::create(*this, to, value))
                  : arith::TruncIOp::create(*this, to, value);
  return widens ? Value(arith::ExtFOp::create(*this, to, value))
                : arith::TruncFOp::create(*this, to, value);
}

Value LoopBuilder::dot(Value sums, Value x, Value y) {
  auto type = cast<VectorType>(sums.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  bool ofBytes = getElementTypeOrSelf(x).isInteger(8);
  auto name = getStringAttr(
      (ofBytes ? "llvm.x86.avx512.vpdpbusd." : "llvm.x86.avx512bf16.dpbf16ps.") + Twine(bits));
  return LLVM::CallIntrinsicOp::create(*this, type, name, ValueRange{sums, x, y}).getResult(0);
}

/// A memref of truth values as one of the bytes that they take in memory: in a vector they
/// are bits. Both are the same to LLVM, where the cast disappears.
static Value asBytes(LoopBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  auto bytes = MemRefType::Builder(type).setElementType(b.getI8Type());
  return UnrealizedConversionCastOp::create(b, Type(MemRefType(bytes)), memref).getResult(0);
}

Value LoopBuilder::load(VectorType type, Value memref, ValueRange indices, Value mask) {
  if (type.getElementType().isInteger(1)) {
    VectorType bytes = type.clone(getI8Type());
    Value loaded = load(bytes, asBytes(*this, memref), indices, mask);
    return arith::CmpIOp::create(*this, arith::CmpIPredicate::ne, loaded, zero(bytes));
  }
  if (!mask)
    return vector::LoadOp::create(*this, type, memref, indices);
  return vector::MaskedLoadOp::create(*this, type, memref, indices, mask, zero(type));
}

void LoopBuilder::store(Value vector, Value memref, ValueRange indices, Value mask) {
  auto type = cast<VectorType>(vector.getType());
  if (type.getElementType().isInteger(1)) {
    vector = arith::ExtUIOp::create(*this, type.clone(getI8Type()), vector);
    memref = asBytes(*this, memref);
  }
  if (mask)
    vector::MaskedStoreOp::create(*this, memref, indices, mask, vector);
  else
    vector::StoreOp::create(*this, vector, memref, indices);
}

Value LoopBuilder::scratch(ArrayRef<int64_t> shape, Type element) {
  return memref::AllocaOp::create(*this, MemRefType::get(shape, element), getI64IntegerAttr(64));
}

void LoopBuilder::prefetch(Value memref, ValueRange indices) {
  memref::PrefetchOp::create(*this, memref, indices, /*isWrite=*/false, /*localityHint=*/2,
                             /*isDataCache=*/true);
}

Value LoopBuilder::lanes(int64_t count, Type elementType) {
  SmallVector<Attribute> numbers;
  for (int64_t lane = 0; lane < count; ++lane)
    numbers.push_back(IntegerAttr::get(elementType, lane));
  auto type = VectorType::get(count, elementType);
  return arith::ConstantOp::create(*this, DenseElementsAttr::get(type, numbers));
}

// 32-bit comparisons: half the work of index ones, and no vector.create_mask to lower.
Value LoopBuilder::firstLanes(Value active, int64_t count) {
  Value limit = arith::IndexCastOp::create(*this, getI32Type(), min(active, index(count)));
  Value limits = splat(limit, VectorType::get(count, getI32Type()));
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::slt, lanes(count, getI32Type()),
                               limits);
}
