// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace buddy;

#include "buddy/IR/BuddyDialect.cpp.inc"

void BuddyDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "buddy/IR/BuddyOps.cpp.inc"
      >();
}

static ShapedType shaped(Value value) { return cast<ShapedType>(value.getType()); }

/// Known and different. A dynamic extent agrees with anything.
static bool disagree(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

/// On tensors the op reads its inputs only; on memrefs it also writes its init, which a
/// scatter changes in part.
static void
destinationEffects(DestinationStyleOpInterface op,
                   SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (op.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    if (!op.isDpsInit(&operand) || isa<ScatterOp>(op))
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

void AttentionOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  destinationEffects(*this, effects);
}

void MatmulOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  destinationEffects(*this, effects);
}

void ConvOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  destinationEffects(*this, effects);
}

void ScatterOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  destinationEffects(*this, effects);
}

void SortOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  destinationEffects(*this, effects);
}

ArrayRef<int64_t> AttentionOp::layout(Part part) {
  static constexpr int64_t inOrder[] = {Batch, Heads, Positions, Depth};
  ArrayRef<int64_t> all = getLayouts();
  return all.empty() ? ArrayRef<int64_t>(inOrder) : all.slice(part * rank, rank);
}

void AttentionOp::setLayout(Part part, ArrayRef<int64_t> layout) {
  SmallVector<int64_t> all;
  for (Part other : parts)
    llvm::append_range(all, other == part ? layout : this->layout(other));
  setLayouts(all);
}

int64_t AttentionOp::place(Part part, Dimension dimension) {
  return llvm::find(layout(part), dimension) - layout(part).begin();
}

LogicalResult AttentionOp::verify() {
  if (!getLayouts().empty() && getLayouts().size() != std::size(parts) * rank)
    return emitOpError("takes the layouts of query, key, value and init, or none");
  for (Part part : parts) {
    if (ShapedType type = shaped(this->part(part)); !type.hasRank() || type.getRank() != rank)
      return emitOpError("takes query, key, value and init of rank 4, not ") << type;
    if (!isPermutationVector(layout(part)) || layout(part).back() != Depth)
      return emitOpError("takes layouts of the numbers 0 to 3, 3 last");
  }
  auto differ = [&](Part a, Part b, Dimension dimension) {
    return disagree(extent(a, dimension), extent(b, dimension));
  };
  if (differ(Query, Key, Depth))
    return emitOpError("query and key differ in head size");
  if (differ(Key, Values, Heads) || differ(Key, Values, Positions))
    return emitOpError("key and value differ in heads or length");
  if (differ(Output, Values, Depth) || differ(Output, Query, Positions) ||
      differ(Output, Query, Heads))
    return emitOpError("init does not have the shape of the result");
  int64_t heads = extent(Query, Heads), shared = extent(Key, Heads);
  if (!ShapedType::isDynamic(heads) && !ShapedType::isDynamic(shared) && heads % shared != 0)
    return emitOpError("query heads are not a multiple of key/value heads");
  return success();
}

LogicalResult MatmulOp::verify() {
  ShapedType lhs = shaped(getLhs()), rhs = shaped(getRhs()), out = shaped(getInit());
  int64_t rank = out.getRank();
  bool ranksFit = isPacked() ? rank == 2 : rhs.getRank() == rank && (rank == 2 || rank == 3);
  if (!ranksFit || lhs.getRank() != rank)
    return emitOpError("takes lhs [M,K], rhs [N/nr,K/kr,nr,kr] or [K,N], and init [M,N]; without "
                       "panels all may have a batch dimension");
  if (isPacked() && ShapedType::isDynamicShape(rhs.getShape().drop_front(2)))
    return emitOpError("takes a static panel shape");
  if (isPacked() && getTransposed())
    return emitOpError("cannot transpose panels");
  if (disagree(lhs.getDimSize(rank - 2), out.getDimSize(rank - 2)))
    return emitOpError("lhs and init differ in M");
  if (isPacked())
    return success();
  int64_t n = columnDimension(), k = 2 * rank - 3 - n;
  if (disagree(rhs.getDimSize(n), out.getDimSize(rank - 1)))
    return emitOpError("rhs and init differ in N");
  if (disagree(rhs.getDimSize(k), lhs.getDimSize(rank - 1)))
    return emitOpError("lhs and rhs differ in K");
  if (rank == 3 && (disagree(lhs.getDimSize(0), out.getDimSize(0)) ||
                    disagree(rhs.getDimSize(0), out.getDimSize(0))))
    return emitOpError("operands differ in their batch");
  return success();
}

LogicalResult ConvOp::verify() {
  ShapedType in = shaped(getInput()), rhs = shaped(getRhs()), out = shaped(getInit());
  for (ArrayRef<int64_t> numbers : {getKernel(), getStrides(), getDilations()})
    if (numbers.empty() || numbers.size() != getKernel().size() ||
        llvm::min_element(numbers)[0] < 1)
      return emitOpError("takes positive kernel, strides and dilations, one for each dimension");
  int64_t spatial = spatialRank();
  if (in.getRank() < spatial + 1 || in.getRank() > spatial + 2 || rhs.getRank() != 4 ||
      out.getRank() != in.getRank())
    return emitOpError("takes input [N,H,W,C], rhs [F/nr,K/kr,nr,kr] and init [N,OH,OW,F]");
  if (ShapedType::isDynamicShape(rhs.getShape().drop_front(2)))
    return emitOpError("takes a static panel shape");
  if (isGrouped() && (getGroup().size() != 2 || llvm::min_element(getGroup())[0] < 1))
    return emitOpError("takes the numbers of a group's channels and filters");
  if (ShapedType::isDynamic(channels()))
    return emitOpError("takes a static number of channels");
  if (sharesPanels() && channels() % rhs.getDimSize(3) != 0)
    return emitOpError("takes groups of whole steps where several share a panel");
  int64_t steps = runs() * llvm::divideCeil(runWidth() * channels(), rhs.getDimSize(3));
  if (disagree(rhs.getDimSize(1), steps))
    return emitOpError("rhs does not have the depth of kernel and channels");
  if (in.getRank() == spatial + 2 && disagree(in.getDimSize(0), out.getDimSize(0)))
    return emitOpError("input and init differ in N");
  if (!getZeros().empty() && static_cast<int64_t>(getZeros().size()) != 2 * (spatial - 1))
    return emitOpError("takes two numbers of zeros for each spatial dimension but the last");
  return success();
}

LogicalResult ParallelOp::verifyRegions() {
  if (getBody().empty() || getBody().getNumArguments() != 2)
    return emitOpError("takes the number of a thread and of all threads");
  return success();
}

LogicalResult ScatterOp::verify() {
  ShapedType positions = shaped(getPositions()), source = shaped(getSource()),
             out = shaped(getInit());
  if (positions.getRank() != 1 || source.getRank() != 2 || out.getRank() != 2)
    return emitOpError("takes positions [N], source [N,R] and init [M,R]");
  if (!positions.getElementType().isSignlessInteger())
    return emitOpError("takes integer positions, not ") << positions.getElementType();
  if (disagree(positions.getDimSize(0), source.getDimSize(0)))
    return emitOpError("positions and source differ in N");
  if (disagree(source.getDimSize(1), out.getDimSize(1)))
    return emitOpError("source and init differ in R");
  if (source.getElementType() != out.getElementType())
    return emitOpError("source and init differ in their element type");
  return success();
}

LogicalResult SortOp::verify() {
  ShapedType keys = shaped(getKeys()), out = shaped(getInit());
  if (keys.getRank() != 2 || out.getRank() != 3 || out.getDimSize(0) != 2)
    return emitOpError("takes keys [R,N] and init [2,R,N]");
  if (!out.getElementType().isInteger(64))
    return emitOpError("gives positions of i64, not ") << out.getElementType();
  for (int64_t d : {0, 1})
    if (disagree(keys.getDimSize(d), out.getDimSize(d + 1)))
      return emitOpError("keys and init differ in ") << (d ? "N" : "R");
  return success();
}

#define GET_OP_CLASSES
#include "buddy/IR/BuddyOps.cpp.inc"
