// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "buddy/Backend/Compile.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace llvm;

/// The linker that the build found, or one on PATH where the build's is gone.
static Expected<std::string> findLinker() {
  if (sys::fs::can_execute(BUDDY_LLD))
    return std::string(BUDDY_LLD);
  for (StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (ErrorOr<std::string> path = sys::findProgramByName(name))
      return *path;
  return createStringError("no linker: install lld (ld.lld) or binutils (ld)");
}

Error buddy::linkSharedLibrary(ArrayRef<std::string> objects, StringRef library) {
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  SmallString<128> messages;
  if (std::error_code code = sys::fs::createTemporaryFile("buddy-link", "txt", messages))
    return createFileError("temporary file", code);
  scope_exit removeMessages([&] { sys::fs::remove(messages); });
  std::vector<StringRef> arguments{*linker, "-shared", "--gc-sections", "-o", library};
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(messages), StringRef(messages)};
  int status = sys::ExecuteAndWait(*linker, arguments, std::nullopt, redirects);
  if (status == 0)
    return Error::success();
  auto text = MemoryBuffer::getFile(messages);
  return createStringError("linking " + library + " failed: " +
                           (text ? (*text)->getBuffer().trim() : StringRef("no message")));
}
