// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a kernel may be tiled otherwise than the machine model says.

#ifndef BUDDY_LIB_PASSES_SCHEDULE_H
#define BUDDY_LIB_PASSES_SCHEDULE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace buddy {

/// A kernel's tiles, beside those that the machine model chooses. An autotuner tries them all.
struct Schedule {
  llvm::StringLiteral name;
  double rows, columns; // of a tile, times what the model says
  bool rowsOutermost;   // of a product: a thread goes through all panels with its own rows

  int64_t scaledRows(int64_t count) const { return scaled(count, rows); }
  int64_t scaledColumns(int64_t count) const { return scaled(count, columns); }

  /// The one that `buddy.schedule` names, or else the model's.
  static const Schedule &of(mlir::func::FuncOp kernel);
  /// Null where there is none.
  static const Schedule *find(llvm::StringRef name);
  /// "model, low, …", for messages.
  static std::string names();

private:
  static int64_t scaled(int64_t count, double factor) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(count) * factor));
  }
};

/// The attribute of a kernel that names its schedule.
constexpr llvm::StringLiteral kScheduleAttr = "buddy.schedule";

} // namespace buddy

#endif // BUDDY_LIB_PASSES_SCHEDULE_H
