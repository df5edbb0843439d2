// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which operations make one kernel.

#ifndef BUDDY_LIB_PASSES_KERNELGROUP_H
#define BUDDY_LIB_PASSES_KERNELGROUP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <list>

namespace buddy {

/// Work on tensors, to be put into a kernel. The rest (views, sizes, scalars) is what
/// the host function does between calls.
bool isCompute(mlir::Operation *op);

/// Free to repeat in every kernel that uses it: constants, fills, slices.
bool isClonedIntoKernels(mlir::Operation *op);

/// Whether elements side by side in the innermost dimension of a slice (`Slice` extracts it from a
/// value of `whole`'s type, or inserts it into one) are so in the whole.
template <typename Slice> bool keepsElementsAdjacent(Slice slice, mlir::ShapedType whole) {
  return !slice.getDroppedDims().test(whole.getRank() - 1) &&
         mlir::isOneInteger(slice.getMixedStrides().back());
}

/// Operations that are tiled together: a root, and producers that only the group uses,
/// each computable for one tile of the root without computing anything twice.
class KernelGroup {
public:
  explicit KernelGroup(mlir::Operation *root);

  /// Adds `producer` if the group can take it.
  bool tryAdd(mlir::Operation *producer);

  /// `matmul`, `attention`, `reduce`, `elementwise`, …: for profiles and dumps.
  llvm::StringRef name() const;

  mlir::Operation *root() const { return members.front(); }
  /// The op whose loops are tiled: the root, or what an insertion into a slice stores.
  mlir::Operation *tiledRoot() const { return tiled; }
  bool contains(mlir::Operation *op) const { return loops.contains(op); }
  llvm::SmallVector<mlir::Operation *> inProgramOrder() const;

  /// The loops of the tiled root that may be cut into tiles, outermost first.
  llvm::ArrayRef<int64_t> tileDims() const { return dims; }
  /// For each loop of the group's product, if it has one, the loop of the tiled root.
  llvm::ArrayRef<int64_t> productLoops() const {
    return product ? loops.find(product)->second : llvm::ArrayRef<int64_t>();
  }

private:
  /// For each loop of an op, the loop of the tiled root that it runs along; -1 for none.
  using LoopMap = llvm::SmallVector<int64_t>;

  std::optional<LoopMap> mapLoops(mlir::Operation *producer) const;
  void startAt(mlir::Operation *op);

  llvm::SmallVector<mlir::Operation *> members;
  mlir::Operation *tiled = nullptr;
  llvm::DenseMap<mlir::Operation *, LoopMap> loops;
  llvm::SmallVector<int64_t> dims;
  mlir::Operation *product = nullptr; // the one matmul or convolution, if there is one
};

/// The groups of a block in program order of their roots.
class KernelGroups {
public:
  explicit KernelGroups(mlir::Block &block);
  auto begin() const { return groups.begin(); }
  auto end() const { return groups.end(); }

private:
  KernelGroup *onlyUser(mlir::Operation *op);
  bool isResult(mlir::Operation *op);
  std::list<KernelGroup> groups;
  llvm::DenseMap<mlir::Operation *, KernelGroup *> groupOf;
  mlir::Block &block;
};

} // namespace buddy

#endif
