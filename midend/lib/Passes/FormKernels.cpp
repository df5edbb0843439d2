// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelGroup.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

/// Every value that `op` or its regions use from outside of it.
SetVector<Value> usedValues(Operation *op) {
  SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

/// The function that a group becomes, as it is built.
class Outliner {
public:
  Outliner(const KernelGroup &group, func::FuncOp host) : group(group), host(host) {}

  void outline(StringRef name) {
    ownInits();
    for (Operation *op : group.inProgramOrder())
      include(op);
    addDestinations();
    createFunction(name);
    replaceByCall();
  }

private:
  /// Gives the root fills and empty tensors of its own to start from. Equal ones have been
  /// merged, but where an input starts from the same one the result has to be another buffer.
  void ownInits() {
    OpBuilder builder(group.root());
    for (OpOperand &init : cast<DestinationStyleOpInterface>(group.root()).getDpsInitsMutable()) {
      auto fill = init.get().getDefiningOp<linalg::FillOp>();
      if (fill) {
        init.set(builder.clone(*fill)->getResult(0));
        fill = init.get().getDefiningOp<linalg::FillOp>();
      }
      OpOperand &start = fill ? *fill.getOutputsMutable().begin() : init;
      if (auto empty = start.get().getDefiningOp<tensor::EmptyOp>()) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointAfter(empty);
        start.set(builder.clone(*empty)->getResult(0));
      }
    }
  }

  /// Adds `op` to the body, after what has to be cloned beside it, and notes its inputs.
  void include(Operation *op) {
    for (Value value : usedValues(op)) {
      Operation *source = value.getDefiningOp();
      if (source && (body.contains(source) || group.contains(source)))
        continue;
      if (source && isClonedIntoKernels(source))
        include(source);
      else if (!isInit(op, value))
        inputs.insert(value);
    }
    body.insert(op);
  }

  bool isInit(Operation *op, Value value) const {
    return op == group.root() &&
           llvm::is_contained(cast<DestinationStyleOpInterface>(op).getDpsInits(), value) &&
           !llvm::is_contained(cast<DestinationStyleOpInterface>(op).getDpsInputs(), value);
  }

  /// One destination per result. An uninitialized one is allocated for this call: empty
  /// tensors of two calls could become one, and bufferization would have to part them.
  void addDestinations() {
    OpBuilder builder(group.root());
    for (Value init : cast<DestinationStyleOpInterface>(group.root()).getDpsInits()) {
      Value placeholder = init;
      if (auto fill = init.getDefiningOp<linalg::FillOp>(); fill && body.contains(fill))
        placeholder = fill.getOutputs()[0];
      if (auto empty = placeholder.getDefiningOp<tensor::EmptyOp>()) {
        destinations.push_back(bufferization::AllocTensorOp::create(
            builder, empty.getLoc(), empty.getType(), empty.getDynamicSizes()));
        body.remove(empty);
      } else {
        destinations.push_back(placeholder);
      }
      placeholders.push_back(placeholder);
    }
  }

  void createFunction(StringRef name) {
    OpBuilder builder(host);
    SmallVector<Value> arguments(inputs.begin(), inputs.end());
    SmallVector<Type> types = llvm::to_vector(ValueRange(arguments).getTypes());
    llvm::append_range(types, ValueRange(destinations).getTypes());
    kernel = func::FuncOp::create(builder, group.root()->getLoc(), name,
                                  builder.getFunctionType(types, group.root()->getResultTypes()));
    kernel.setPrivate();
    kernel->setAttr("buddy.kernel", builder.getUnitAttr());
    kernel.setNoInline(true);
    Block *entry = kernel.addEntryBlock();
    builder.setInsertionPointToStart(entry);
    IRMapping mapping;
    mapping.map(arguments, entry->getArguments().take_front(arguments.size()));
    ValueRange results = entry->getArguments().take_back(destinations.size());
    for (auto [placeholder, result] : llvm::zip(placeholders, results))
      if (!inputs.contains(placeholder))
        mapping.map(placeholder, result);
    for (unsigned index = 0; index < types.size(); ++index)
      if (isa<TensorType>(types[index]))
        kernel.setArgAttr(index, bufferization::BufferizationDialect::kWritableAttrName,
                          builder.getBoolAttr(index >= arguments.size()));
    for (Operation *op : inBlockOrder())
      builder.clone(*op, mapping);
    Operation *root = mapping.lookup(group.root()->getResult(0)).getDefiningOp();
    for (auto [number, placeholder] : llvm::enumerate(placeholders))
      if (inputs.contains(placeholder))
        startFrom(results[number],
                  cast<DestinationStyleOpInterface>(root).getDpsInitOperand(number));
    Operation *tiled = mapping.lookup(group.tiledRoot()->getResult(0)).getDefiningOp();
    tiled->setAttr("buddy.tile_dims", builder.getDenseI64ArrayAttr(group.tileDims()));
    if (!llvm::is_sorted(group.productLoops()))
      tiled->setAttr("buddy.product_loops", builder.getDenseI64ArrayAttr(group.productLoops()));
    func::ReturnOp::create(builder, root->getLoc(), root->getResults());
  }

  /// What the root, or the fill that it starts from, also reads comes twice, once to be written.
  void startFrom(Value destination, OpOperand *init) {
    auto fill = init->get().getDefiningOp<linalg::FillOp>();
    OpOperand *start = fill ? &*fill.getOutputsMutable().begin() : init;
    start->set(destination);
  }

  SmallVector<Operation *> inBlockOrder() const {
    SmallVector<Operation *> ops(body.begin(), body.end());
    llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    return ops;
  }

  void replaceByCall() {
    OpBuilder builder(group.root());
    SmallVector<Value> operands(inputs.begin(), inputs.end());
    llvm::append_range(operands, destinations);
    auto call = func::CallOp::create(builder, group.root()->getLoc(), kernel, operands);
    group.root()->replaceAllUsesWith(call.getResults());
    SmallVector<Operation *> outlined = group.inProgramOrder();
    for (Operation *op : llvm::reverse(outlined))
      op->erase();
  }

  const KernelGroup &group;
  func::FuncOp host;
  func::FuncOp kernel;
  SetVector<Operation *> body;
  SetVector<Value> inputs;
  SmallVector<Value> destinations, placeholders;
};

/// Whether elements side by side in the innermost dimension of `value` are so in memory.
bool hasAdjacentElements(Value value) {
  auto slice = value.getDefiningOp<tensor::ExtractSliceOp>();
  return !slice || (keepsElementsAdjacent(slice, slice.getSourceType()) &&
                    hasAdjacentElements(slice.getSource()));
}

/// Whether a kernel may read `slice` in place: no view or result takes it, no other slice is
/// inserted into it, and it is not an operand of vectors whose elements are scattered.
bool isReadInPlace(tensor::ExtractSliceOp slice, OpOperand &use) {
  Operation *user = use.getOwner();
  if (!isCompute(slice->getBlock()->findAncestorOpInBlock(*user)))
    return false;
  if (auto written = dyn_cast<DestinationStyleOpInterface>(user);
      written && written.isDpsInit(&use))
    return false;
  return !isa<AttentionOp, ConvOp, MatmulOp>(user) || hasAdjacentElements(slice);
}

/// Copies out the slices that kernels do not read in place.
void materializeSlices(func::FuncOp function) {
  for (auto slice : llvm::to_vector(function.front().getOps<tensor::ExtractSliceOp>())) {
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : slice->getUses())
      if (!isReadInPlace(slice, use))
        uses.push_back(&use);
    if (uses.empty())
      continue;
    OpBuilder builder(slice->getContext());
    builder.setInsertionPointAfter(slice);
    Location loc = slice.getLoc();
    Value empty = tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, slice),
                                          slice.getType().getElementType());
    Value copy = linalg::CopyOp::create(builder, loc, slice.getResult(), empty).getResult(0);
    for (OpOperand *use : uses)
      use->set(copy);
  }
}

/// Entry points write to the arguments that the graph updates, and to no other one.
void protectArguments(func::FuncOp function) {
  Builder b(function.getContext());
  for (BlockArgument argument : function.getArguments())
    if (isa<TensorType>(argument.getType())) {
      bool isMutable = bool(function.getArgAttr(argument.getArgNumber(), "buddy.mutable"));
      function.setArgAttr(argument.getArgNumber(),
                          bufferization::BufferizationDialect::kWritableAttrName,
                          b.getBoolAttr(isMutable));
    }
}

struct FormKernelsPass : impl::FormKernelsPassBase<FormKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    unsigned number = 0;
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal() || function->hasAttr("buddy.kernel"))
        continue;
      if (function.isPublic())
        protectArguments(function);
      materializeSlices(function);
      KernelGroups groups(function.front());
      for (const KernelGroup &group : groups) {
        std::string name = (group.name() + "_" + Twine(number++)).str();
        Outliner(group, function).outline(name);
        ++numKernels;
      }
    }
  }
};
} // namespace
} // namespace buddy
