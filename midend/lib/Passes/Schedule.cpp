// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Schedule.h"

using namespace mlir;
using namespace buddy;

/// Few enough that to try all of them takes seconds; frontend's autotune.py has their names.
static constexpr Schedule kSchedules[] = {
    {"model", 1, 1, false},    {"low", 0.5, 1, false}, {"high", 2, 1, false},
    {"narrow", 1, 0.5, false}, {"wide", 1, 2, false},  {"rows-outermost", 1, 1, true},
};

const Schedule *Schedule::find(StringRef name) {
  const Schedule *found = llvm::find_if(kSchedules, [&](auto &s) { return s.name == name; });
  return found == std::end(kSchedules) ? nullptr : found;
}

const Schedule &Schedule::of(func::FuncOp kernel) {
  auto name = kernel->getAttrOfType<StringAttr>(kScheduleAttr);
  const Schedule *found = name ? find(name.getValue()) : nullptr;
  return found ? *found : kSchedules[0];
}

std::string Schedule::names() {
  return llvm::join(llvm::map_range(kSchedules, [](auto &s) { return s.name; }), ", ");
}
