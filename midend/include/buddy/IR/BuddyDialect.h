// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef BUDDY_IR_BUDDYDIALECT_H
#define BUDDY_IR_BUDDYDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "buddy/IR/BuddyDialect.h.inc"

#define GET_OP_CLASSES
#include "buddy/IR/BuddyOps.h.inc"

namespace buddy {
/// Registers the dialect with the interfaces that let One-Shot Bufferize and
/// tile-and-fuse see through its ops.
void registerDialect(mlir::DialectRegistry &registry);
} // namespace buddy

#endif
