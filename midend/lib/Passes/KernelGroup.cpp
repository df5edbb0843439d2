// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelGroup.h"

#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace buddy;

bool buddy::isCompute(Operation *op) {
  return isa<linalg::LinalgOp, AttentionOp, MatmulOp, tensor::InsertSliceOp,
             tensor::ExtractSliceOp>(op);
}

bool buddy::isClonedIntoKernels(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<tensor::EmptyOp, linalg::FillOp, tensor::ExtractSliceOp>(op);
}

/// Loops of an op that groups can reason about: linalg's, or a matmul's rows and columns.
static std::optional<unsigned> countLoops(Operation *op) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return linalgOp.getNumLoops();
  if (isa<MatmulOp>(op))
    return 2;
  return std::nullopt;
}

/// The map from loops to the elements of the op's only result.
static std::optional<AffineMap> resultMap(Operation *op) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  if (isa<MatmulOp>(op))
    return AffineMap::getMultiDimIdentityMap(2, op->getContext());
  auto linalgOp = cast<linalg::LinalgOp>(op);
  return linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0));
}

KernelGroup::KernelGroup(Operation *root) : members{root} {
  hasMatmul = isa<MatmulOp>(root);
  LoopMap own;
  if (std::optional<unsigned> count = countLoops(root))
    for (unsigned loop = 0; loop < *count; ++loop)
      own.push_back(loop);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(root)) {
    for (auto [loop, type] : llvm::enumerate(linalgOp.getIteratorTypesArray())) {
      if (type == utils::IteratorType::parallel)
        dims.push_back(loop);
      else
        own[loop] = -1;
    }
  } else if (hasMatmul) {
    dims = {0, 1};
  }
  loops[root] = own;
}

/// Where `producer`'s loops run in the root, if all uses are plain and agree.
std::optional<KernelGroup::LoopMap> KernelGroup::mapLoops(Operation *producer) const {
  std::optional<AffineMap> output = resultMap(producer);
  if (!output || !output->isProjectedPermutation())
    return std::nullopt;
  SmallVector<int64_t> along(output->getNumResults(), -2);
  for (OpOperand &use : producer->getUses()) {
    auto consumer = dyn_cast<linalg::LinalgOp>(use.getOwner());
    // A body that extracts elements, or a matmul's inputs, need more than a tile.
    if (!consumer || !loops.contains(consumer))
      return std::nullopt;
    AffineMap map = consumer.getMatchingIndexingMap(&use);
    if (!map.isProjectedPermutation())
      return std::nullopt;
    for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
      int64_t loop = loops.lookup(consumer)[cast<AffineDimExpr>(expr).getPosition()];
      along[dim] = along[dim] == -2 || along[dim] == loop ? loop : -1;
    }
  }
  LoopMap result(*countLoops(producer), -1);
  for (auto [dim, expr] : llvm::enumerate(output->getResults()))
    result[cast<AffineDimExpr>(expr).getPosition()] = along[dim];
  return result;
}

/// Elements that one core gets through in less time than sharing them would cost.
static bool isSmall(Operation *op) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  int64_t elements = type && type.hasStaticShape() ? type.getNumElements() : 1 << 20;
  for (Value operand : op->getOperands())
    if (auto shaped = dyn_cast<RankedTensorType>(operand.getType()))
      elements = std::max(elements, shaped.hasStaticShape() ? shaped.getNumElements() : 1 << 20);
  return elements <= 1 << 14;
}

/// The last op of a matmul's epilogue, a residual's addition: it belongs to the matmul's
/// kernel and not to the norm that follows.
static bool isEpilogue(Operation *op) {
  return llvm::any_of(op->getOperands(),
                      [](Value operand) { return operand.getDefiningOp<MatmulOp>(); });
}

bool KernelGroup::tryAdd(Operation *producer) {
  // A slice is filled by what computes it, as in an update of a KV cache.
  if (isa<tensor::InsertSliceOp>(root()) && members.size() == 1 &&
      isa<linalg::GenericOp>(producer)) {
    members.push_back(producer);
    loops[producer] = {};
    return true;
  }
  if (isEpilogue(producer) && name() == "reduce")
    return false;
  bool isMatmul = isa<MatmulOp>(producer);
  if (!isa<linalg::GenericOp, MatmulOp>(producer) || !isa<linalg::GenericOp>(root()) ||
      (isMatmul && hasMatmul))
    return false;
  std::optional<LoopMap> map = mapLoops(producer);
  if (!map)
    return false;
  SmallVector<int64_t> shared;
  for (int64_t dim : dims)
    if (llvm::is_contained(*map, dim))
      shared.push_back(dim);
  // A matmul's tile is a block of rows and panels: both dims of its epilogue are cut.
  if ((isMatmul || hasMatmul) && (shared != ArrayRef<int64_t>{0, 1} || shared.size() != dims.size() ||
                                  cast<linalg::GenericOp>(root()).getNumLoops() != 2))
    return false;
  if (isMatmul && *map != LoopMap{0, 1})
    return false;
  bool keepsRows = !dims.empty() && !shared.empty() && shared.front() == dims.front();
  if (!keepsRows && !(isSmall(producer) && isSmall(root())))
    return false;
  members.push_back(producer);
  loops[producer] = *map;
  dims = shared;
  hasMatmul |= isMatmul;
  return true;
}

StringRef KernelGroup::name() const {
  if (hasMatmul)
    return "matmul";
  if (!isa<linalg::GenericOp>(root()))
    return root()->getName().stripDialect();
  bool reduces = llvm::any_of(members, [](Operation *op) {
    return cast<linalg::LinalgOp>(op).getNumReductionLoops() != 0;
  });
  return reduces ? "reduce" : "elementwise";
}

SmallVector<Operation *> KernelGroup::inProgramOrder() const {
  SmallVector<Operation *> ops = members;
  llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ops;
}

KernelGroup *KernelGroups::onlyUser(Operation *op) {
  KernelGroup *only = nullptr;
  for (Operation *user : op->getUsers()) {
    KernelGroup *group = groupOf.lookup(block.findAncestorOpInBlock(*user));
    if (!group || (only && only != group))
      return nullptr;
    only = group;
  }
  return only;
}

/// A fill that is a result, or that a view takes, is work of its own.
bool KernelGroups::isResult(Operation *op) {
  return isa<linalg::FillOp>(op) && llvm::any_of(op->getUsers(), [&](Operation *user) {
           return !isCompute(block.findAncestorOpInBlock(*user));
         });
}

KernelGroups::KernelGroups(Block &block) : block(block) {
  for (Operation &op : llvm::reverse(block)) {
    if (!isCompute(&op) || (isClonedIntoKernels(&op) && !isResult(&op)))
      continue;
    KernelGroup *group = onlyUser(&op);
    if (!group || !group->tryAdd(&op)) {
      groups.emplace_front(&op);
      group = &groups.front();
    }
    groupOf[&op] = group;
  }
}
