// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.attention on memrefs to vector loops with an online softmax (FlashAttention:
// Dao et al., 2022): the T x L scores never exist, only one block of them.
//
// The query rows (t, head) that share a key/value head form one list, row = t * group +
// head, so that decoding (T = 1) reads each key once for all heads of its group, and
// neighbouring rows of a prompt see nearly the same keys.
//
//   parallel for batch, key/value head, tile of query rows:
//     for block of keys up to the last one that any row of the tile sees:
//       Kt[D, block] = key transposed           one transpose serves all rows of the tile
//       for block of rows that see one of them:
//         S[rows, block] = scale * Q . Kt
//         S = exp(S - max); rescale O and the sums where max has grown
//         O[rows, Dv] += S . value
//     out = O / sums
//
// Sums and scores are f32 (f64 for f64) in small buffers on the stack. Where the target has a dot
// product of bf16, bf16 operands are multiplied by it, and so are the weights, rounded; where it
// has AMX, in tiles, 32 rows and 32 columns at once.

#include "AttentionEmitter.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEATTENTIONPASS
#include "buddy/Passes.h.inc"
namespace {

/// What of the operands' types the emitted code does not handle, or nothing.
StringRef refusal(AttentionOp op) {
  if (!op.getResult().empty())
    return "operands are tensors: bufferize first";
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue(), op.getInit()}) {
    auto type = cast<MemRefType>(operand.getType());
    if (!isa<FloatType>(type.getElementType()))
      return "only floating-point attention is vectorized";
    if (!hasUnitInnerStride(operand))
      return "the elements of a head must be contiguous";
  }
  for (auto part : AttentionOp::parts)
    for (auto dimension : {AttentionOp::Heads, AttentionOp::Depth})
      if (ShapedType::isDynamic(op.extent(part, dimension)))
        return "the number of heads and their size must be static";
  return "";
}

/// A function of the operands and of a unit's batch, head and tile that computes that
/// unit. A function of its own, because it has scratch on the stack: an allocation in the
/// body of a parallel loop would stay until the loop ends.
func::FuncOp outlineUnit(AttentionOp op, AttentionEmitter::Machine machine, SymbolTable &symbols) {
  SmallVector<Type> types(op->getOperandTypes());
  types.append(3, IndexType::get(op.getContext()));
  auto unit = func::FuncOp::create(op.getLoc(), "attention_unit",
                                   FunctionType::get(op.getContext(), types, {}));
  unit.setPrivate();
  symbols.insert(unit);
  Block *entry = unit.addEntryBlock();
  LoopBuilder b(op.getLoc(), OpBuilder::atBlockEnd(entry));

  IRMapping toArguments;
  for (auto [operand, argument] : llvm::zip(op->getOperands(), entry->getArguments()))
    toArguments.map(operand, argument);
  auto inner = cast<AttentionOp>(b.clone(*op, toArguments));
  ValueRange position = entry->getArguments().take_back(3);
  AttentionEmitter(b, inner, machine).emitTile(position[0], position[1], position[2]);
  inner.erase();
  func::ReturnOp::create(b);
  return unit;
}

/// Calls `unit` for every batch, key/value head and tile of rows: in parallel, unless a
/// parallel loop is around already.
void callForAllUnits(AttentionOp op, AttentionEmitter::Machine machine, func::FuncOp unit) {
  LoopBuilder b(op.getLoc(), OpBuilder(op));
  SmallVector<OpFoldResult> units = AttentionEmitter(b, op, machine).units();
  auto call = [&](OpBuilder &builder, Location loc, ValueRange position) {
    SmallVector<Value> arguments(op->getOperands());
    llvm::append_range(arguments, position);
    func::CallOp::create(builder, loc, unit, arguments);
  };
  if (!op->getParentOfType<scf::ForallOp>() && !op->getParentOfType<scf::ParallelOp>()) {
    auto body = [&](OpBuilder &builder, Location loc, ValueRange position) {
      call(builder, loc, position);
      scf::InParallelOp::create(builder, loc);
    };
    scf::ForallOp::create(b, units, ValueRange{}, std::nullopt, body);
    return;
  }
  SmallVector<Value> ends = getValueOrCreateConstantIndexOp(b, op.getLoc(), units);
  b.loop(b.index(0), ends[0], 1, [&](Value batch) {
    b.loop(b.index(0), ends[1], 1, [&](Value head) {
      b.loop(b.index(0), ends[2], 1,
             [&](Value tile) { call(b, op.getLoc(), {batch, head, tile}); });
    });
  });
}

struct VectorizeAttentionPass : impl::VectorizeAttentionPassBase<VectorizeAttentionPass> {
  using Base::Base;
  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) { ops.push_back(op); });
    SymbolTable symbols(getOperation());
    AttentionEmitter::Machine machine{vectorBits, hasBF16Dot, hasBF16Tiles};
    for (AttentionOp op : ops) {
      StringRef why = refusal(op);
      if (!why.empty()) {
        missed(op, "vectorize-attention", why);
        continue;
      }
      callForAllUnits(op, machine, outlineUnit(op, machine, symbols));
      op.erase();
    }
  }
};

} // namespace
} // namespace buddy
