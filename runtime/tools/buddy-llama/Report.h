// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_LLAMA_REPORT_H
#define BUDDY_LLAMA_REPORT_H

#include "buddy/runtime/Session.h"

/// Prints what `buddy bench --json` prints: one object of figures.
void printFigures(const buddy::runtime::Session &session, const buddy::runtime::Timings &timings);

/// Prints what `buddy run --json` prints: ids, text and figures.
void printGeneration(const buddy::runtime::Session &session,
                     const std::vector<buddy::runtime::TokenId> &prompt,
                     const buddy::runtime::Generation &generation);

/// One line for people, on standard error.
void summarize(const buddy::runtime::Session &session,
               const buddy::runtime::Generation &generation);

#endif // BUDDY_LLAMA_REPORT_H
