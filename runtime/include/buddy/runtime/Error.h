// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_ERROR_H
#define BUDDY_RUNTIME_ERROR_H

#include <stdexcept>
#include <string>

namespace buddy::runtime {

/// Everything this library throws. The message is a sentence for the person at the keyboard:
/// what is wrong, with which file or argument, and what to do.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// A file is not what it should be: a damaged package, a module for another CPU.
class ModelError : public Error {
public:
  ModelError(const std::string &file, const std::string &problem) : Error(file + ": " + problem) {}
};

/// The caller passed something that cannot work: a wrong shape, a prompt that is too long.
class ArgumentError : public Error {
public:
  using Error::Error;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_ERROR_H
