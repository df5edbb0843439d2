// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Schedule.h"
#include "buddy/Passes.h"

using namespace mlir;

namespace buddy {
#define GEN_PASS_DEF_SCHEDULEKERNELSPASS
#include "buddy/Passes.h.inc"
namespace {

struct ScheduleKernelsPass : impl::ScheduleKernelsPassBase<ScheduleKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    for (const std::string &choice : schedules)
      if (failed(apply(choice)))
        return signalPassFailure();
  }

private:
  /// `kernel=schedule`, or `schedule` for all kernels.
  LogicalResult apply(StringRef choice) {
    auto [kernelName, name] = choice.contains('=') ? choice.split('=') : std::pair("", choice);
    if (!Schedule::find(name))
      return getOperation().emitError("there is no schedule `")
             << name << "`; there are: " << Schedule::names();
    auto attribute = StringAttr::get(&getContext(), name);
    bool isKnown = kernelName.empty();
    for (auto kernel : getOperation().getOps<func::FuncOp>())
      if (kernel->hasAttr("buddy.kernel") &&
          (kernelName.empty() || kernel.getName() == kernelName)) {
        kernel->setAttr(kScheduleAttr, attribute);
        isKnown = true;
      }
    if (!isKnown)
      return getOperation().emitError("there is no kernel `") << kernelName << "`";
    return success();
  }
};
} // namespace
} // namespace buddy
