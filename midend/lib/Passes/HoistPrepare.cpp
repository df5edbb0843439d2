// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Layout.h"
#include "MatmulBlocking.h"
#include "buddy/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_HOISTPREPAREPASS
#include "buddy/Passes.h.inc"
namespace {

/// Metadata only: hoisting it would make a copy of the weight for nothing.
bool isView(Operation *op) {
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op);
}

/// Operands, and what the regions of the op read from outside: a gather reads its table there.
SetVector<Value> inputsOf(Operation *op) {
  SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

/// Extents that the compiler knows, so that the result is no larger than twice what
/// it is made from (padding may add a little; a broadcast would add a lot).
bool isCompact(Operation *op) {
  int64_t in = 0;
  for (Type type : op->getOperandTypes())
    if (auto shaped = dyn_cast<RankedTensorType>(type); shaped && shaped.hasStaticShape())
      in = std::max(in, shaped.getNumElements());
  auto out = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  return out && out.hasStaticShape() && out.getNumElements() <= 2 * in + 1024;
}

/// Bytes of a weight from which on a second copy of it is not worth the time that packing saves: a
/// few percent where it reads well as it lies, more where each call transposes it.
constexpr int64_t kLargeBytes = 1 << 20, kVeryLargeBytes = 8 << 20;

/// Bytes up to which the product's right-hand side is worth a copy; any are where it reads badly as
/// it lies.
int64_t mostBytesToCopy(MatmulOp op) {
  constexpr int64_t any = std::numeric_limits<int64_t>::max();
  auto out = cast<ShapedType>(op.getInit().getType());
  int64_t rows = out.getDimSize(0), columns = out.getDimSize(1);
  if (ShapedType::isDynamic(rows))
    return any;
  if (isBestTransposed(op) || (isTransposed(op) && isAlongRows(op)))
    return kLargeBytes;
  constexpr int64_t many = 64;
  if (!isTransposed(op))
    return rows <= kFewRows || rows >= many ? kLargeBytes : any;
  // Transposed once, if there are tiles enough that have all rows.
  constexpr int64_t manyToTranspose = 128, manyColumns = 2048;
  return rows >= manyToTranspose && columns >= manyColumns ? kVeryLargeBytes : any;
}

/// Whether this packs a large weight that can as well be read as it lies. One of bf16 cannot: a
/// decode step takes a seventh longer, and in tiles its pairs would be put side by side each time.
bool isLargeAndReadsWell(Operation *op) {
  auto pack = dyn_cast<linalg::PackOp>(op);
  if (!pack || !pack.getSourceType().getElementType().isF32())
    return false;
  Value source = pack.getSource();
  while (Operation *view = source.getDefiningOp()) {
    if (!isView(view))
      return false;
    source = view->getOperand(0);
  }
  int64_t bytes = pack.getSourceType().getNumElements() * int64_t(sizeof(float));
  return llvm::all_of(pack->getUsers(), [&](Operation *user) {
    auto product = dyn_cast<MatmulOp>(user);
    return product && bytes > mostBytesToCopy(product);
  });
}

/// What `value` is computed with inside of its function, in order.
SetVector<Operation *> computationOf(Value value) {
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = true;
  options.omitUsesFromAbove = false;
  (void)getBackwardSlice(value, &slice, options);
  return topologicalSort(slice);
}

/// The values of a function that depend on parameters alone, `arguments` among them.
struct Weights {
  DenseSet<Value> derived;

  Weights(func::FuncOp function, ArrayRef<BlockArgument> arguments)
      : derived(arguments.begin(), arguments.end()) {
    for (Operation &op : function.front().without_terminator())
      if (dependsOnWeightsAlone(op))
        derived.insert(op.result_begin(), op.result_end());
  }

  bool dependsOnWeightsAlone(Operation &op) const {
    bool any = false;
    if (op.getNumResults() != 1 || !isPure(&op))
      return false;
    for (Value operand : inputsOf(&op)) {
      Operation *source = operand.getDefiningOp();
      if (derived.contains(operand))
        any = true;
      else if (!source ||
               !(source->hasTrait<OpTrait::ConstantLike>() || isa<tensor::EmptyOp>(source)) ||
               source->getNumOperands() != 0)
        return false;
    }
    return any && (isView(&op) || isCompact(&op));
  }

  /// Worth preparing: computed from weights, and used by what is not.
  bool isFrontier(Operation &op) const {
    if (isView(&op) || op.getNumResults() != 1 || !derived.contains(op.getResult(0)))
      return false;
    return llvm::any_of(op.getUsers(), [&](Operation *user) {
      while (user->getNumResults() == 1 && derived.contains(user->getResult(0)) && isView(user) &&
             user->hasOneUse())
        user = *user->getUsers().begin();
      return user->getNumResults() != 1 || !derived.contains(user->getResult(0));
    });
  }
};

/// The function `prepare`, as it grows.
class Prepare {
public:
  explicit Prepare(ModuleOp module) : module(module) {}

  /// Clones the computation of `value`; returns its position among the results.
  void add(func::FuncOp from, Value value) {
    if (!function)
      create();
    IRMapping mapping;
    OpBuilder builder(function.front().getTerminator());
    for (Operation *op : computationOf(value)) {
      for (Value operand : inputsOf(op))
        if (auto argument = dyn_cast<BlockArgument>(operand))
          mapping.map(argument, parameter(from, argument));
      builder.clone(*op, mapping);
    }
    auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
    terminator->insertOperands(terminator->getNumOperands(), mapping.lookup(value));
  }

  /// Merges equal computations; returns, per result added, the number of its buffer.
  SmallVector<unsigned> finish() {
    IRRewriter rewriter(module.getContext());
    DominanceInfo dominance(function);
    eliminateCommonSubExpressions(rewriter, dominance, function);
    auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
    SmallVector<unsigned> numbers;
    SetVector<Value> unique;
    for (Value value : terminator.getOperands()) {
      unique.insert(value);
      numbers.push_back(std::distance(unique.begin(), llvm::find(unique, value)));
    }
    terminator->setOperands(unique.getArrayRef());
    SmallVector<Type> results(terminator->getOperandTypes());
    function.setType(FunctionType::get(module.getContext(), function.getArgumentTypes(), results));
    for (unsigned index = 0; index < unique.size(); ++index)
      function.setResultAttrs(index, describe(index).getValue());
    return numbers;
  }

  DictionaryAttr describe(unsigned number) {
    Builder b(module.getContext());
    return b.getDictionaryAttr(
        {b.getNamedAttr("buddy.kind", b.getStringAttr("prepared")),
         b.getNamedAttr("buddy.name", b.getStringAttr("prepared." + Twine(number)))});
  }

private:
  void create() {
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    function =
        func::FuncOp::create(builder, module.getLoc(), "prepare", builder.getFunctionType({}, {}));
    builder.setInsertionPointToEnd(function.addEntryBlock());
    func::ReturnOp::create(builder, module.getLoc());
  }

  /// The argument of `prepare` for a parameter, found by its name.
  Value parameter(func::FuncOp from, BlockArgument argument) {
    auto name = from.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "buddy.name");
    auto [place, isNew] = parameters.try_emplace(name, function.getNumArguments());
    if (isNew)
      (void)function.insertArgument(function.getNumArguments(), argument.getType(),
                                    from.getArgAttrDict(argument.getArgNumber()),
                                    argument.getLoc());
    return function.getArgument(place->second);
  }

  ModuleOp module;
  func::FuncOp function;
  DenseMap<StringAttr, unsigned> parameters;
};

/// The functions that entries reach, with what is called where.
class CallTree {
public:
  explicit CallTree(ModuleOp module) {
    SymbolTable symbols(module);
    for (auto function : module.getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        visit(function, symbols);
  }

  /// Callees before their callers.
  ArrayRef<func::FuncOp> functions() const { return order.getArrayRef(); }

  ArrayRef<func::CallOp> callsOf(func::FuncOp function) const {
    auto found = calls.find(function);
    return found == calls.end() ? ArrayRef<func::CallOp>() : found->second;
  }

  /// The arguments that are weights: parameters of an entry, and what is one at every call.
  DenseMap<Operation *, SmallVector<BlockArgument>> weights() const {
    DenseMap<Operation *, SmallVector<BlockArgument>> arguments;
    DenseSet<Value> derived;
    for (func::FuncOp function : llvm::reverse(order)) {
      SmallVector<BlockArgument> &found = arguments[function];
      for (BlockArgument argument : function.getArguments())
        if (isWeight(function, argument.getArgNumber(), derived))
          found.push_back(argument);
      derived.insert_range(Weights(function, found).derived);
    }
    return arguments;
  }

private:
  void visit(func::FuncOp function, SymbolTable &symbols) {
    for (auto call : function.front().getOps<func::CallOp>()) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      if (callee.isExternal())
        continue;
      calls[callee].push_back(call);
      if (!order.contains(callee))
        visit(callee, symbols);
    }
    order.insert(function);
  }

  bool isWeight(func::FuncOp function, unsigned number, const DenseSet<Value> &derived) const {
    if (function.isPublic()) {
      auto kind = function.getArgAttrOfType<StringAttr>(number, "buddy.kind");
      return kind && kind == "parameter";
    }
    return llvm::all_of(callsOf(function), [&](func::CallOp call) {
      return derived.contains(call.getOperand(number));
    });
  }

  SetVector<func::FuncOp> order;
  DenseMap<func::FuncOp, SmallVector<func::CallOp>> calls;
};

/// Computes `value` where `function` is called, and passes it.
void liftToCallers(func::FuncOp function, Value value, ArrayRef<func::CallOp> calls) {
  SetVector<Operation *> computation = computationOf(value);
  unsigned number = function.getNumArguments();
  (void)function.insertArgument(number, value.getType(), {}, value.getLoc());
  for (func::CallOp call : calls) {
    IRMapping mapping;
    mapping.map(function.getArguments().take_front(number), call.getOperands());
    OpBuilder builder(call);
    for (Operation *op : computation)
      builder.clone(*op, mapping);
    call->insertOperands(number, mapping.lookup(value));
  }
  value.replaceAllUsesWith(function.getArgument(number));
}

struct HoistPreparePass : impl::HoistPreparePassBase<HoistPreparePass> {
  using Base::Base;

  void runOnOperation() override {
    Prepare prepare(getOperation());
    CallTree tree(getOperation());
    auto weights = tree.weights();
    SmallVector<std::pair<func::FuncOp, Value>> hoisted;
    for (func::FuncOp function : tree.functions()) {
      Weights known(function, weights[function]);
      SmallVector<Value> found;
      for (Operation &op : function.front().without_terminator())
        if (known.isFrontier(op) && !(weightsStay && isLargeAndReadsWell(&op)))
          found.push_back(op.getResult(0));
      for (Value value : found)
        if (function.isPublic())
          hoisted.emplace_back(function, value);
        else
          liftToCallers(function, value, tree.callsOf(function));
    }
    if (hoisted.empty())
      return;
    for (auto [function, value] : hoisted)
      prepare.add(function, value);
    replace(hoisted, prepare);
  }

  void replace(ArrayRef<std::pair<func::FuncOp, Value>> hoisted, Prepare &prepare) {
    DenseMap<std::pair<Operation *, unsigned>, unsigned> positions;
    for (auto [entry, number] : llvm::zip(hoisted, prepare.finish())) {
      auto [function, value] = entry;
      auto [place, isNew] = positions.try_emplace({function, number}, function.getNumArguments());
      if (isNew)
        (void)function.insertArgument(function.getNumArguments(), value.getType(),
                                      prepare.describe(number), value.getLoc());
      value.replaceAllUsesWith(function.getArgument(place->second));
      ++numHoisted;
    }
  }
};
} // namespace
} // namespace buddy
