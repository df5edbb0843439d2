// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Epilogue.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace buddy;

bool buddy::touchesNoElements(Operation *op) {
  return (isMemoryEffectFree(op) && !op->hasTrait<OpTrait::IsTerminator>()) ||
         isa<memref::AllocaOp>(op);
}

/// Whether an output of `op` is something that `producer` still reads when some of it is written.
static bool overwritesInputs(linalg::GenericOp op, Operation *producer, Value results) {
  return llvm::any_of(op.getDpsInits(), [&](Value out) {
    return llvm::any_of(producer->getOperands(), [&](Value in) {
      return isMemRef(in) && findBuffer(in) == findBuffer(out);
    });
  });
}

/// Whether `results` is all that is ever seen of a buffer on the stack.
static bool isOnlyViewOfScratch(Value results) {
  while (auto view = results.getDefiningOp<ViewLikeOpInterface>()) {
    results = view.getViewSource();
    if (!results.hasOneUse())
      return false;
  }
  return results.getDefiningOp<memref::AllocaOp>() != nullptr;
}

std::optional<Epilogue> Epilogue::of(Operation *producer, Value results, int64_t along,
                                     Operation *fill) {
  Operation *next = producer->getNextNode();
  while (touchesNoElements(next))
    next = next->getNextNode();
  auto op = dyn_cast<linalg::GenericOp>(next);
  if (!op || !isOnlyViewOfScratch(results) || op.getNumReductionLoops() != 0 ||
      overwritesInputs(op, producer, results) || llvm::count(op->getOperands(), results) != 1)
    return std::nullopt;
  for (Operation *user : results.getUsers())
    if (user != producer && user != fill && user != op)
      return std::nullopt;
  Epilogue epilogue{op, nullptr, {}};
  epilogue.input = llvm::find_if(op->getOpOperands(),
                                 [&](OpOperand &operand) { return operand.get() == results; });
  if (op.isDpsInit(epilogue.input) || !chooseSchedule(op, epilogue.schedule).empty() ||
      !epilogue.schedule.isStraight() ||
      !VectorBody(op, epilogue.schedule.dimension).refusal().empty())
    return std::nullopt;
  AffineMap read = op.getMatchingIndexingMap(epilogue.input);
  AffineExpr dimension = getAffineDimExpr(epilogue.schedule.dimension, op.getContext());
  if (!read.isPermutation() || read.getResult(along) != dimension)
    return std::nullopt;
  return epilogue;
}
