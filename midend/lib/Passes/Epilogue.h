// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is computed of results while they are in registers.

#ifndef BUDDY_LIB_PASSES_EPILOGUE_H
#define BUDDY_LIB_PASSES_EPILOGUE_H

#include "GenericEmitter.h"

namespace buddy {

/// An elementwise op that takes the results of the op before it, vector by vector, as these are
/// made: nobody else reads them, so that they are never stored.
struct Epilogue {
  mlir::linalg::GenericOp op;
  mlir::OpOperand *input = nullptr; // the operand that reads the results
  GenericSchedule schedule;

  /// That of `producer`, which writes `results` in vectors along their dimension `along`, after
  /// `fill`, if there is one.
  static std::optional<Epilogue> of(mlir::Operation *producer, mlir::Value results, int64_t along,
                                    mlir::Operation *fill = nullptr);
};

/// Whether `op` only computes indices and views, or makes room.
bool touchesNoElements(mlir::Operation *op);

/// Writes an epilogue where its producer has a vector ready.
class EpilogueEmitter {
public:
  using Value = mlir::Value;

  EpilogueEmitter(LoopBuilder &b, const Epilogue &epilogue, int64_t bits)
      : epilogue(epilogue), body(epilogue.op, epilogue.schedule.dimension),
        emitter(b, epilogue.op, body, epilogue.schedule, bits, /*hasBF16Dot=*/false) {}

  /// For the vector of results at `indices`.
  void emit(mlir::ValueRange indices, Value vector, Value mask) {
    emitter.emitAt(*epilogue.input, indices, vector, mask);
  }

private:
  Epilogue epilogue;
  VectorBody body;
  GenericEmitter emitter;
};

} // namespace buddy

#endif // BUDDY_LIB_PASSES_EPILOGUE_H
