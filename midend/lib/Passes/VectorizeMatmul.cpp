// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// buddy.matmul and buddy.conv on memrefs to register-tiled vector loops. A convolution is a
// product whose rows overlap: the input is read where it lies, nothing is copied to columns.

#include "ConvolutionLoops.h"
#include "MatmulBlocking.h"
#include "ProductEmitter.h"
#include "RowSums.h"
#include "buddy/IR/BuddyDialect.h"
#include "buddy/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_VECTORIZEMATMULPASS
#include "buddy/Passes.h.inc"
namespace {

using Values = LoopBuilder::Values;

/// The loops of one product:
///
///   for rows, for columns:                       all of them, if no sums wait aside
///     for block of the depth:
///       copy the block of lhs                    where its rows would collide in the cache
///       for panels of columns:
///         pack the block of the panels           where rhs lies as it is
///         sums[:, panels] (+)= block . panels
///     out = sums                                 where they waited aside
class MatmulLoops {
public:
  MatmulLoops(LoopBuilder &b, MatmulOp op, RightHandSide &rhs, MatmulBlocking blocking, bool packs,
              EpilogueEmitter *epilogue)
      : b(b), op(op), rhs(rhs), rank(cast<MemRefType>(op.getInit().getType()).getRank()),
        rowCount(b.dim(op.getInit(), rank - 2)), columnCount(b.dim(op.getInit(), rank - 1)),
        depth(b.dim(op.getLhs(), rank - 1)),
        product(b, op.getLhs(), rhs, op.getInit(), constantOf(rowCount)), blocking(blocking),
        packs(packs), epilogue(epilogue) {
    rowsAtOnce = std::min(constantOf(rowCount).value_or(kTileRows), kMostBlockRows);
    if (blocking.streams)
      columnsAtOnce = streamedColumns(getElementTypeOrSelf(op.getRhs()));
    if (blocking.copiesLhs)
      allocateCopy();
    if (blocking.waitsAside)
      allocateSums();
    product.finishWith(epilogue);
  }

  void emit() {
    if (rank == 2)
      return emitMatrix({});
    b.loop(b.index(0), b.dim(op.getInit(), 0), 1, [&](Value n) { emitMatrix({n}); });
  }

private:
  /// Rows and columns that are gone through from the first block of the depth to the last.
  struct Part {
    Value row, rows, column, columnEnd;
  };

  void allocateCopy() {
    auto type = cast<MemRefType>(op.getLhs().getType());
    int64_t length = blocking.depth ? blocking.depth : type.getShape().back();
    int64_t lanes = laneCount();
    // Whole vectors are stored, and a row does not begin where the one before it does in its page.
    length = llvm::alignTo(length, lanes) + lanes;
    copy = b.scratch({rowsAtOnce, length}, type.getElementType());
  }

  void allocateSums() {
    int64_t columns = std::min(columnsAtOnce, constantOf(columnCount).value_or(columnsAtOnce));
    // A row does not begin where the one before it does in its page.
    int64_t length = llvm::alignTo(columns, sumLanes) + sumLanes;
    sums = b.scratch({rowsAtOnce, length}, b.getF32Type());
  }

  /// Elements of lhs in 64 bytes.
  int64_t laneCount() { return 512 / getElementTypeOrSelf(op.getLhs()).getIntOrFloatBitWidth(); }

  void emitMatrix(Values matrix) {
    batch = matrix;
    rhs.startMatrix(batch);
    if (!copy && !sums)
      return emitPart({b.index(0), rowCount, b.index(0), columnCount});
    b.loop(b.index(0), rowCount, rowsAtOnce, [&](Value row) {
      Value rows = b.min(b.sub(rowCount, row), b.index(rowsAtOnce));
      if (!sums)
        return emitPart({row, rows, b.index(0), columnCount});
      b.loop(b.index(0), columnCount, columnsAtOnce, [&](Value column) {
        emitPart({row, rows, column, b.min(columnCount, b.add(column, columnsAtOnce))});
      });
    });
  }

  void emitPart(const Part &part) {
    emitBlocks(part);
    if (sums)
      storeSums(part);
  }

  /// Of the depth; what is computed of the sums follows the last one.
  struct Block {
    Value start, length;
    bool adds, isLast;
  };

  void emitBlocks(const Part &part) {
    if (blocking.depth == 0)
      return emitBlock(part, {b.index(0), depth, /*adds=*/false, /*isLast=*/true});
    int64_t size = blocking.depth;
    std::optional<int64_t> known = constantOf(depth);
    if (!known) {
      Value block = b.index(size);
      emitBlock(part, {b.index(0), b.min(depth, block), /*adds=*/false, /*isLast=*/false});
      return b.loop(block, depth, size, [&](Value start) {
        Value length = b.min(b.sub(depth, start), block);
        emitBlock(part, {start, length, /*adds=*/true, /*isLast=*/false});
      });
    }
    // Blocks of a known size need no remainders.
    int64_t last = (*known - 1) / size * size;
    bool isEven = *known % size == 0;
    if (last > 0)
      emitBlock(part, {b.index(0), b.index(size), /*adds=*/false, /*isLast=*/false});
    b.loop(b.index(size), b.index(isEven && !epilogue ? *known : last), size, [&](Value start) {
      emitBlock(part, {start, b.index(size), /*adds=*/true, /*isLast=*/false});
    });
    if (last == 0 || !isEven || epilogue)
      emitBlock(part, {b.index(last), b.index(*known - last), last > 0, /*isLast=*/true});
  }

  void emitBlock(const Part &part, const Block &block) {
    if (copy)
      copyBlock(part, block.start, block.length);
    emitPanels(part, block);
  }

  void copyBlock(const Part &part, Value start, Value length) {
    int64_t lanes = laneCount();
    auto type = VectorType::get(lanes, getElementTypeOrSelf(op.getLhs()));
    std::optional<int64_t> known = constantOf(length);
    auto copyVector = [&](Value row, Value k, Value mask) {
      Values from(batch);
      from.append({b.add(part.row, row), b.add(start, k)});
      b.store(b.load(type, op.getLhs(), from, mask), copy, {row, k});
    };
    b.loop(b.index(0), part.rows, 1, [&](Value row) {
      Value whole = b.roundDown(length, lanes);
      b.loop(b.index(0), whole, lanes, [&](Value k) { copyVector(row, k, {}); });
      if (!known || *known % lanes != 0)
        copyVector(row, whole, b.firstLanes(b.sub(length, whole), lanes));
    });
  }

  /// The part's rows times a block of its columns.
  void emitPanels(const Part &part, const Block &block) {
    Value start = block.start, length = block.length;
    auto lhsAt = [&](Value row, Value, Value k) {
      if (copy)
        return Values{row, k};
      Values indices(batch);
      indices.append({b.add(part.row, row), b.add(start, k)});
      return indices;
    };
    auto outAt = [&](Value row, Value column) {
      if (sums)
        return Values{row, b.sub(column, part.column)};
      Values indices(batch);
      indices.append({b.add(part.row, row), column});
      return indices;
    };
    if (copy)
      product.readFrom(copy);
    if (sums)
      product.writeTo(sums);
    Value from = packs ? Value() : start;
    ProductEmitter::Rows rows{part.rows, 1, length, block.adds, from, lhsAt, outAt};
    rows.isLast = block.isLast;
    rows.total = constantOf(part.rows);
    auto nextAt = [&](Value row, Value k) { return nextBlockAt(part, start, length, row, k); };
    // What lies further along the same rows the CPU fetches by itself, unless it is copied at once.
    if (blocking.streamsLhs && (copy || blocking.depth == 0))
      rows.nextAt = nextAt;
    auto multiply = [&](Value column, Value end) {
      rhs.forEachPanel(column, end, [&] { product.emitRows(rows); });
    };
    if (!packs)
      return multiply(part.column, part.columnEnd);
    constexpr int64_t width = RightHandSide::packedColumns;
    b.loop(part.column, part.columnEnd, width, [&](Value column) {
      Value end = b.min(part.columnEnd, b.add(column, width));
      if (blocking.comesFromMemory)
        fetchNextPanels(part, column, length);
      rhs.packPanels(start, length, column, end);
      multiply(column, end);
    });
  }

  /// After the last block of the depth comes the first one of the rows that follow.
  Values nextBlockAt(const Part &part, Value start, Value length, Value row, Value k) {
    Value next = b.add(start, length), zero = b.index(0);
    Value isLast = b.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::sge, next, depth);
    Value rows = b.createOrFold<arith::SelectOp>(isLast, part.rows, zero);
    Values indices(batch);
    indices.append({b.add(b.add(part.row, rows), row),
                    b.add(b.createOrFold<arith::SelectOp>(isLast, zero, next), k)});
    return indices;
  }

  /// After the part's last columns come its first ones of the next block, if there are blocks.
  void fetchNextPanels(const Part &part, Value column, Value length) {
    Value width = b.index(RightHandSide::packedColumns), zero = b.index(0);
    if (blocking.depth == 0)
      return rhs.fetchNextPanels(zero, width);
    Value isLast =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, b.add(column, width), part.columnEnd);
    Value back = b.sub(part.column, column);
    Value rows = arith::SelectOp::create(b, isLast, length, zero);
    Value columns = arith::SelectOp::create(b, isLast, back, width);
    rhs.fetchNextPanels(rows, columns);
  }

  /// Rounds what waited aside into the result.
  void storeSums(const Part &part) {
    auto type = VectorType::get(sumLanes, b.getF32Type());
    auto element = getElementTypeOrSelf(op.getInit());
    Value count = b.sub(part.columnEnd, part.column), whole = b.roundDown(count, sumLanes);
    b.loop(b.index(0), part.rows, 1, [&](Value row) {
      auto round = [&](Value column, Value mask) {
        Values to(batch);
        to.append({b.add(part.row, row), b.add(part.column, column)});
        b.store(b.convert(b.load(type, sums, {row, column}), element), op.getInit(), to, mask);
      };
      b.loop(b.index(0), whole, sumLanes, [&](Value column) { round(column, {}); });
      std::optional<int64_t> known = constantOf(count);
      if (!known || *known % sumLanes != 0)
        round(whole, b.firstLanes(b.sub(count, whole), sumLanes));
    });
  }

  static constexpr int64_t sumLanes = 16;

  LoopBuilder &b;
  MatmulOp op;
  RightHandSide &rhs;
  int64_t rank;
  Value rowCount, columnCount, depth;
  ProductEmitter product;
  MatmulBlocking blocking;
  bool packs;
  EpilogueEmitter *epilogue;
  int64_t rowsAtOnce, columnsAtOnce = kWaitingColumns;
  Value copy, sums;
  Values batch;
};

/// Rows of an AMX tile of the product's type; 1 where the CPU has none.
int64_t amxRows(MatmulOp op, const ProductTiling::Machine &machine) {
  bool ofBytes = getElementTypeOrSelf(op.getLhs()).isInteger(8);
  return (ofBytes ? machine.hasInt8Tiles : machine.hasBF16Tiles) ? AMXTile::mostRows : 1;
}

void emit(LoopBuilder &b, MatmulOp op, ProductTiling::Machine machine, EpilogueEmitter *epilogue) {
  Value lhs = op.getLhs();
  Type element = getElementTypeOrSelf(lhs);
  MatmulBlocking blocking(op, amxRows(op, machine));
  if (op.isPacked()) {
    ProductTiling tiling(element, cast<MemRefType>(op.getRhs().getType()), machine);
    RightHandSide rhs(b, op.getRhs(), tiling);
    rhs.fetchesPanels = blocking.comesFromMemory;
    return MatmulLoops(b, op, rhs, blocking, /*packs=*/false, epilogue).emit();
  }
  if (blocking.alongRows)
    return RowSums(b, op, blocking, machine).emit();
  auto type = cast<MemRefType>(lhs.getType());
  std::optional<int64_t> rows = constantOf(b.dim(lhs, type.getRank() - 2));
  ProductTiling tiling(element, getElementTypeOrSelf(op.getRhs()), rows, machine);
  // One register tile reads rhs where it lies, but from memory only with few rows.
  bool packs = !rows || *rows > tiling.rows || tiling.kr != 1 || op.getTransposed() ||
               (blocking.comesFromMemory && !blocking.streams);
  if (packs == blocking.streams)
    blocking.depth = blocking.waitsAside = 0;
  int64_t packedDepth = blocking.depth ? blocking.depth : type.getShape().back();
  RightHandSide rhs(b, op.getRhs(), op.getTransposed(), packs ? packedDepth : 0, tiling);
  if (!packs)
    rhs.fetchAhead(blocking.depth);
  MatmulLoops(b, op, rhs, blocking, packs, epilogue).emit();
}

void emit(LoopBuilder &b, ConvOp op, ProductTiling::Machine machine, EpilogueEmitter *epilogue) {
  ConvolutionLoops(b, op, machine, epilogue).emit();
}

/// Whether sums of `op` are complete in registers, each at a place of the code that only does that.
bool completesInRegisters(MatmulOp op, const ProductTiling::Machine &machine) {
  MatmulBlocking blocking(op, amxRows(op, machine));
  int64_t depth = cast<MemRefType>(op.getLhs().getType()).getShape().back();
  return !blocking.alongRows && !blocking.waitsAside && !blocking.streams &&
         (blocking.depth == 0 || !ShapedType::isDynamic(depth));
}

bool completesInRegisters(ConvOp op, const ProductTiling::Machine &) { return true; }

template <typename Op>
void vectorize(Op op, RewriterBase &rewriter, const ProductTiling::Machine &machine) {
  Value out = op.getInit();
  StringRef why = refuseProduct(op->getOperand(0), op->getOperand(1), out, machine);
  if (!why.empty())
    return missed(op, "vectorize-matmul", why);
  std::optional<Epilogue> epilogue;
  if (completesInRegisters(op, machine))
    epilogue = Epilogue::of(op, out, cast<MemRefType>(out.getType()).getRank() - 1);
  rewriter.setInsertionPoint(epilogue ? epilogue->op.getOperation() : op.getOperation());
  LoopBuilder b(op.getLoc(), rewriter);
  std::optional<EpilogueEmitter> emitter;
  if (epilogue)
    emitter.emplace(b, *epilogue, machine.vectorBits);
  emit(b, op, machine, emitter ? &*emitter : nullptr);
  if (epilogue)
    rewriter.eraseOp(epilogue->op);
  rewriter.eraseOp(op);
}

struct VectorizeMatmulPass : impl::VectorizeMatmulPassBase<VectorizeMatmulPass> {
  using Base::Base;
  void runOnOperation() override {
    ProductTiling::Machine machine{vectorBits, tileRows,     hasBF16Dot,
                                   hasInt8Dot, hasBF16Tiles, hasInt8Tiles};
    SmallVector<Operation *> products;
    getOperation()->walk([&](Operation *op) {
      if (isa<MatmulOp, ConvOp>(op))
        products.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : products)
      TypeSwitch<Operation *>(op).Case<MatmulOp, ConvOp>(
          [&](auto product) { vectorize(product, rewriter, machine); });
  }
};

} // namespace
} // namespace buddy
