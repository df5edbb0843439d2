// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "WorkCounter.h"

#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using namespace buddy;

/// Bytes of an element as it lies in memory.
static int64_t bytesOf(Type type) {
  return type.isIndex() ? 8 : llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
}

/// What one operation in the body of a loop counts.
static int64_t operationsIn(Operation *op, bool reduces) {
  if (op->getNumResults() != 1)
    return 0;
  if (!isa<FloatType>(op->getResult(0).getType()))
    return reduces && isa<arith::AddIOp, arith::MulIOp>(op);
  if (isa<math::FmaOp>(op))
    return 2;
  return isa<math::MathDialect>(op->getDialect()) ||
         isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::RemFOp,
             arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
             arith::MinNumFOp>(op);
}

AffineExpr WorkCounter::constant(int64_t value) {
  return getAffineConstantExpr(value, kernel.getContext());
}

AffineExpr WorkCounter::symbol(BlockArgument argument, int64_t dim) {
  if (argument.getOwner() != &kernel.front()) {
    isKnown = false;
    return constant(0);
  }
  unsigned next = symbols.size();
  auto place = symbols.try_emplace({argument.getArgNumber(), dim}, next).first;
  return getAffineSymbolExpr(place->second, kernel.getContext());
}

AffineExpr WorkCounter::valueOf(Value index) { return bound(index, std::nullopt); }

AffineExpr WorkCounter::extent(Value shaped, int64_t dim) {
  auto type = cast<ShapedType>(shaped.getType());
  return type.isDynamicDim(dim) ? bound(shaped, dim) : constant(type.getDimSize(dim));
}

/// An index, or a dynamic extent, from the kernel's arguments.
AffineExpr WorkCounter::bound(Value value, std::optional<int64_t> dim) {
  while (auto op = value.getDefiningOp<DestinationStyleOpInterface>())
    value = op.getTiedOpOperand(cast<OpResult>(value))->get();
  if (auto argument = dyn_cast<BlockArgument>(value))
    return symbol(argument, dim.value_or(-1));
  AffineMap map;
  ValueDimList operands;
  auto isArgument = [](Value v, std::optional<int64_t>, ValueBoundsConstraintSet &) {
    return isa<BlockArgument>(v);
  };
  using presburger::BoundType;
  auto variable = dim ? ValueBoundsConstraintSet::Variable(value, *dim)
                      : ValueBoundsConstraintSet::Variable(value);
  if (failed(ValueBoundsConstraintSet::computeBound(map, operands, BoundType::EQ, variable,
                                                    isArgument))) {
    isKnown = false;
    return constant(0);
  }
  SmallVector<AffineExpr> sizes;
  for (auto [operand, operandDim] : operands)
    sizes.push_back(symbol(cast<BlockArgument>(operand), operandDim.value_or(-1)));
  ArrayRef<AffineExpr> all(sizes);
  return map.getResult(0).replaceDimsAndSymbols(all.take_front(map.getNumDims()),
                                                all.drop_front(map.getNumDims()));
}

AffineExpr WorkCounter::elements(Value shaped) {
  AffineExpr product = constant(1);
  for (int64_t dim = 0; dim < cast<ShapedType>(shaped.getType()).getRank(); ++dim)
    product = product * extent(shaped, dim);
  return product;
}

AffineExpr WorkCounter::bytes(Value shaped) {
  return elements(shaped) * bytesOf(getElementTypeOrSelf(shaped.getType()));
}

/// How often the body of a linalg op runs.
AffineExpr WorkCounter::iterations(Operation *op) {
  auto linalgOp = cast<linalg::LinalgOp>(op);
  SmallVector<AffineExpr> extents;
  for (Value operand : op->getOperands())
    if (auto type = dyn_cast<ShapedType>(operand.getType()))
      for (int64_t dim = 0; dim < type.getRank(); ++dim)
        extents.push_back(extent(operand, dim));
  AffineExpr product = constant(1);
  for (AffineExpr loop : linalgOp.getShapesToLoopsMap().getResults())
    product = product * loop.replaceDims(extents);
  return product;
}

/// Pairs of a query and a key that it sees.
static AffineExpr visiblePairs(AttentionOp op, AffineExpr queries, AffineExpr keys) {
  AffineExpr pairs = queries * keys;
  return op.getCausal() ? pairs - (queries * (queries - 1)).floorDiv(2) : pairs;
}

/// Taps of the window that all positions along a spatial dimension read together, but those known
/// to lie in padding.
AffineExpr WorkCounter::tapsAlong(ConvOp conv, int64_t i) {
  int64_t dim = cast<ShapedType>(conv.getInit().getType()).getRank() - 1 - conv.spatialRank() + i;
  int64_t extent = cast<ShapedType>(conv.getInput().getType()).getDimSize(dim);
  int64_t positions = cast<ShapedType>(conv.getInit().getType()).getDimSize(dim);
  std::optional<int64_t> low, high;
  if (!conv.getZeros().empty() && i != conv.spatialRank() - 1) {
    low = getConstantIntValue(conv.getZeros()[2 * i]);
    high = getConstantIntValue(conv.getZeros()[2 * i + 1]);
  }
  if (!low || !high || ShapedType::isDynamic(extent) || ShapedType::isDynamic(positions))
    return this->extent(conv.getInit(), dim) * conv.getKernel()[i];
  int64_t count = 0;
  for (int64_t position = 0; position < positions; ++position)
    for (int64_t tap = 0; tap < conv.getKernel()[i]; ++tap) {
      int64_t line = position * conv.getStrides()[i] + tap * conv.getDilations()[i];
      count += line >= *low && line < extent - *high;
    }
  return constant(count);
}

AffineExpr WorkCounter::operations(Operation *op) {
  if (auto matmul = dyn_cast<MatmulOp>(op)) {
    int64_t last = cast<ShapedType>(matmul.getLhs().getType()).getRank() - 1;
    return elements(matmul.getInit()) * extent(matmul.getLhs(), last) * 2;
  }
  if (auto conv = dyn_cast<ConvOp>(op)) {
    int64_t rank = cast<ShapedType>(conv.getInit().getType()).getRank();
    AffineExpr products = extent(conv.getInit(), rank - 1) * conv.channels();
    if (rank == conv.spatialRank() + 2)
      products = products * extent(conv.getInit(), 0);
    for (int64_t i = 0; i < conv.spatialRank(); ++i)
      products = products * tapsAlong(conv, i);
    return products * 2;
  }
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    auto extent = [&](AttentionOp::Part part, AttentionOp::Dimension dimension) {
      return this->extent(attention.part(part), attention.place(part, dimension));
    };
    AffineExpr queries = extent(AttentionOp::Query, AttentionOp::Positions);
    AffineExpr keys = attention.getValid() ? valueOf(attention.getValid())
                                           : extent(AttentionOp::Key, AttentionOp::Positions);
    AffineExpr depth = extent(AttentionOp::Query, AttentionOp::Depth) +
                       extent(AttentionOp::Values, AttentionOp::Depth);
    return visiblePairs(attention, queries, keys) * extent(AttentionOp::Query, AttentionOp::Batch) *
           extent(AttentionOp::Query, AttentionOp::Heads) * depth * 2;
  }
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return constant(0);
  int64_t inBody = 0;
  bool reduces = linalgOp.getNumReductionLoops() != 0;
  linalgOp.getBlock()->walk([&](Operation *inner) { inBody += operationsIn(inner, reduces); });
  return inBody ? iterations(op) * inBody : constant(0);
}

/// What of `value`, an argument or a slice of one, is read: slices and gathered elements where
/// nothing reads it whole.
AffineExpr WorkCounter::bytesRead(Value value) {
  AffineExpr inParts = constant(0);
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<tensor::DimOp, func::ReturnOp>(user))
      continue;
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(user)) {
      inParts = inParts + bytesRead(slice.getResult());
      continue;
    }
    if (auto element = dyn_cast<tensor::ExtractOp>(user)) {
      auto loops = element->getParentOfType<linalg::LinalgOp>();
      AffineExpr times = loops ? iterations(loops) : constant(1);
      inParts = inParts + times * bytesOf(element.getType());
      continue;
    }
    auto destination = dyn_cast<DestinationStyleOpInterface>(user);
    auto linalgOp = dyn_cast<linalg::LinalgOp>(user);
    bool isOverwritten = destination && destination.isDpsInit(&use) &&
                         !(linalgOp && linalgOp.payloadUsesValueFromOperand(&use));
    auto store = dyn_cast<tensor::InsertSliceOp>(user);
    if (isOverwritten || (store && use.get() == store.getDest()))
      continue;
    auto attention = dyn_cast<AttentionOp>(user);
    for (auto part : {AttentionOp::Key, AttentionOp::Values})
      if (attention && attention.getValid() && attention.part(part) == value)
        return extent(value, attention.place(part, AttentionOp::Batch)) *
               extent(value, attention.place(part, AttentionOp::Heads)) *
               valueOf(attention.getValid()) * extent(value, 3) *
               bytesOf(getElementTypeOrSelf(value.getType()));
    return bytes(value);
  }
  return inParts;
}

AffineExpr WorkCounter::bytesWritten(Value result) {
  if (auto store = result.getDefiningOp<tensor::InsertSliceOp>())
    return bytes(store.getSource());
  return bytes(result);
}

FailureOr<KernelWork> WorkCounter::count() {
  AffineExpr totalOperations = constant(0), totalBytes = constant(0);
  for (Operation &op : kernel.front())
    totalOperations = totalOperations + operations(&op);
  for (BlockArgument argument : kernel.getArguments())
    if (isa<ShapedType>(argument.getType()))
      totalBytes = totalBytes + bytesRead(argument);
  for (Value result : kernel.front().getTerminator()->getOperands())
    totalBytes = totalBytes + bytesWritten(result);
  if (!isKnown)
    return failure();
  KernelWork result;
  result.work =
      AffineMap::get(0, symbols.size(), {totalOperations, totalBytes}, kernel.getContext());
  for (auto [size, place] : symbols)
    result.sizes.append({static_cast<int64_t>(size.first), size.second});
  return result;
}
