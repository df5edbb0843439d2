/* SPDX-FileCopyrightText: The Buddy Authors
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A shared library that is no compiled module. */
int plain_library_answer(void) { return 42; }
