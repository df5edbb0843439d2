// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace buddy;

/// Index is 64 bits wide; a truth value takes no room of its own.
static int64_t bitsOf(Type type) { return type.isIndex() ? 64 : type.getIntOrFloatBitWidth(); }

VectorBody::VectorBody(linalg::LinalgOp op, int64_t dimension)
    : block(op.getBlock()), dimension(dimension),
      sumsProducts(!isa<linalg::GenericOp>(op) && (linalg::isaContractionOpInterface(op) ||
                                                   linalg::isaConvolutionOpInterface(op))) {
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    bool varies =
        op.isDpsInit(&operand) || op.getMatchingIndexingMap(&operand).isFunctionOfDim(dimension);
    kinds[argument] = varies ? Kind::Varying : Kind::Uniform;
    if (varies)
      widest = std::max(widest, bitsOf(argument.getType()));
  }
  for (Operation &inner : block->without_terminator()) {
    Kind kind = classify(&inner);
    if (!why.empty())
      return;
    for (Value result : inner.getResults()) {
      kinds[result] = kind;
      if (kind == Kind::Varying)
        widest = std::max(widest, bitsOf(result.getType()));
    }
  }
}

VectorBody::Kind VectorBody::classify(Operation *inner) {
  if (auto index = dyn_cast<linalg::IndexOp>(inner))
    return (int64_t)index.getDim() == dimension ? Kind::Linear : Kind::Uniform;
  if (isa<memref::LoadOp>(inner))
    return classifyLoad(inner);
  if (inner->getNumRegions() != 0 || !isMemoryEffectFree(inner))
    why = "the body has control flow or side effects";
  bool uniform = llvm::all_of(inner->getOperands(),
                              [&](Value operand) { return kindOf(operand) == Kind::Uniform; });
  if (uniform)
    return Kind::Uniform;
  if (!OpTrait::hasElementwiseMappableTraits(inner))
    why = "an operation of the body has no vector form";
  // Lanes that do not exist hold zeros, and there is no vector division anyway.
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::CeilDivSIOp,
          arith::CeilDivUIOp, arith::FloorDivSIOp>(inner) &&
      !matchPattern(inner->getOperand(1), m_Constant()))
    why = "integers are divided by a variable";
  return Kind::Varying;
}

/// A gather is a plain load if only its last index counts with the lanes.
VectorBody::Kind VectorBody::classifyLoad(Operation *inner) {
  auto load = cast<memref::LoadOp>(inner);
  bool uniform =
      llvm::all_of(load.getIndices(), [&](Value index) { return kindOf(index) == Kind::Uniform; });
  if (uniform)
    return Kind::Uniform;
  bool rowUniform = llvm::all_of(load.getIndices().drop_back(),
                                 [&](Value index) { return kindOf(index) == Kind::Uniform; });
  if (!rowUniform || kindOf(load.getIndices().back()) != Kind::Linear ||
      !hasUnitInnerStride(load.getMemRef()))
    why = "a gather does not read consecutive elements";
  return Kind::Varying;
}

Value VectorBody::asVector(LoopBuilder &b, Value original, Value mapped, int64_t lanes) const {
  Kind kind = kindOf(original);
  if (kind == Kind::Varying)
    return mapped;
  Value vector = b.splat(mapped, VectorType::get(lanes, mapped.getType()));
  if (kind == Kind::Uniform)
    return vector;
  return arith::AddIOp::create(b, vector, b.lanes(lanes, mapped.getType()));
}

void VectorBody::emitOp(LoopBuilder &b, Operation *inner, int64_t lanes, ValueRange ivs, Value mask,
                        IRMapping &map) const {
  if (auto index = dyn_cast<linalg::IndexOp>(inner))
    return map.map(index.getResult(), ivs[index.getDim()]);
  if (inner->getNumResults() && kindOf(inner->getResult(0)) == Kind::Uniform) {
    b.clone(*inner, map);
    return;
  }
  if (auto load = dyn_cast<memref::LoadOp>(inner)) {
    Values indices;
    for (Value index : load.getIndices())
      indices.push_back(map.lookupOrDefault(index));
    auto type = VectorType::get(lanes, load.getType());
    return map.map(load.getResult(), b.load(type, load.getMemRef(), indices, mask));
  }
  OperationState state(inner->getLoc(), inner->getName());
  for (Value operand : inner->getOperands())
    state.operands.push_back(asVector(b, operand, map.lookupOrDefault(operand), lanes));
  for (Type type : inner->getResultTypes())
    state.types.push_back(VectorType::get(lanes, type));
  state.attributes = llvm::to_vector(inner->getAttrs());
  Operation *created = b.create(state);
  if (sumsProducts && isa<arith::MulFOp, arith::AddFOp>(created))
    created->setAttr("fastmath", arith::FastMathFlagsAttr::get(created->getContext(),
                                                               arith::FastMathFlags::contract));
  map.map(inner->getResults(), created->getResults());
}

VectorBody::Values VectorBody::emit(LoopBuilder &b, int64_t lanes, ValueRange arguments,
                                    ValueRange ivs, Value mask) const {
  IRMapping map;
  map.map(block->getArguments(), arguments);
  for (Operation &inner : block->without_terminator())
    emitOp(b, &inner, lanes, ivs, mask, map);
  Values yielded;
  for (Value value : block->getTerminator()->getOperands())
    yielded.push_back(asVector(b, value, map.lookupOrDefault(value), lanes));
  return yielded;
}
