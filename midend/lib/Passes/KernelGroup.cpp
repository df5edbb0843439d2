// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelGroup.h"

#include "buddy/IR/BuddyDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace buddy;

bool buddy::isCompute(Operation *op) {
  return isa<linalg::LinalgOp, AttentionOp, ConvOp, MatmulOp, ScatterOp, SortOp,
             tensor::InsertSliceOp, tensor::ExtractSliceOp>(op);
}

bool buddy::isClonedIntoKernels(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<tensor::EmptyOp, linalg::FillOp, tensor::ExtractSliceOp>(op);
}

static bool isProduct(Operation *op) { return isa<ConvOp, MatmulOp>(op); }

/// Loops of an op that groups can reason about: linalg's, or a product's over its result.
static std::optional<unsigned> countLoops(Operation *op) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return linalgOp.getNumLoops();
  if (isProduct(op))
    return cast<ShapedType>(op->getResult(0).getType()).getRank();
  return std::nullopt;
}

/// The map from loops to the elements of the op's only result.
static std::optional<AffineMap> resultMap(Operation *op) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  if (isProduct(op))
    return AffineMap::getMultiDimIdentityMap(*countLoops(op), op->getContext());
  auto linalgOp = cast<linalg::LinalgOp>(op);
  return linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0));
}

KernelGroup::KernelGroup(Operation *root) : members{root} { startAt(root); }

/// Makes `op` the one whose loops are tiled.
void KernelGroup::startAt(Operation *op) {
  tiled = op;
  dims.clear();
  product = isProduct(op) ? op : nullptr;
  LoopMap own;
  if (std::optional<unsigned> count = countLoops(op))
    for (unsigned loop = 0; loop < *count; ++loop)
      own.push_back(loop);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    for (auto [loop, type] : llvm::enumerate(linalgOp.getIteratorTypesArray())) {
      if (type == utils::IteratorType::parallel)
        dims.push_back(loop);
      else
        own[loop] = -1;
    }
  } else if (product) {
    dims = own;
  }
  loops[op] = own;
}

/// Where `producer`'s loops run in the root, if all uses are plain and agree.
std::optional<KernelGroup::LoopMap> KernelGroup::mapLoops(Operation *producer) const {
  std::optional<AffineMap> output = resultMap(producer);
  if (!output || !output->isProjectedPermutation())
    return std::nullopt;
  SmallVector<int64_t> along(output->getNumResults(), -2);
  for (OpOperand &use : producer->getUses()) {
    auto consumer = dyn_cast<linalg::LinalgOp>(use.getOwner());
    // A body that extracts elements, or a product's inputs, need more than a tile.
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

/// The last op of a product's epilogue, a residual's addition: it belongs to the product's
/// kernel and not to the norm that follows.
static bool isEpilogue(Operation *op) {
  return llvm::any_of(op->getOperands(), [](Value operand) {
    Operation *producer = operand.getDefiningOp();
    return producer && isProduct(producer);
  });
}

bool KernelGroup::tryAdd(Operation *producer) {
  // A slice is filled by what computes it, as in an update of a KV cache.
  if (auto store = dyn_cast<tensor::InsertSliceOp>(root()); store && members.size() == 1) {
    bool isStored = store.getSource().getDefiningOp() == producer &&
                    store.getDest().getDefiningOp() != producer;
    bool isVectorOfRows = isProduct(producer) && keepsElementsAdjacent(store, store.getDestType());
    if (!isStored || !(isVectorOfRows || isa<linalg::GenericOp>(producer)))
      return false;
    members.push_back(producer);
    startAt(producer);
    return true;
  }
  if (isEpilogue(producer) && name() == "reduce")
    return false;
  bool addsProduct = isProduct(producer);
  if (!(addsProduct || isa<linalg::GenericOp>(producer)) || !isa<linalg::GenericOp>(tiledRoot()) ||
      (addsProduct && product))
    return false;
  std::optional<LoopMap> map = mapLoops(producer);
  if (!map)
    return false;
  SmallVector<int64_t> shared;
  for (int64_t dim : dims)
    if (llvm::is_contained(*map, dim))
      shared.push_back(dim);
  // A product's tile is a block of rows and panels: all dims of its epilogue are cut.
  if (addsProduct || product) {
    auto all =
        llvm::to_vector(llvm::seq<int64_t>(cast<linalg::GenericOp>(tiledRoot()).getNumLoops()));
    if (shared != all || dims != all || (addsProduct && map->size() != all.size()))
      return false;
  }
  bool keepsRows = !dims.empty() && !shared.empty() && shared.front() == dims.front();
  if (!keepsRows && !(isSmall(producer) && llvm::all_of(members, isSmall)))
    return false;
  members.push_back(producer);
  loops[producer] = *map;
  dims = shared;
  if (addsProduct)
    product = producer;
  return true;
}

StringRef KernelGroup::name() const {
  if (product)
    return product->getName().stripDialect();
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
