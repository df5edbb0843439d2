// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "buddy/runtime/ChatTemplate.h"
#include "buddy/runtime/Error.h"

using namespace buddy::runtime;

static void write(const ChatTemplate &chat, const std::string &role, const std::string &content,
                  std::string &text) {
  auto found = chat.roles.find(role);
  if (found == chat.roles.end())
    throw ArgumentError("the model's chat template has no role '" + role + "'");
  text += found->second.prefix + content + found->second.suffix;
}

std::string ChatTemplate::apply(const std::vector<Message> &messages) const {
  std::string text = start;
  bool hasSystem = !messages.empty() && messages.front().role == "system";
  if (!hasSystem && !defaultSystem.empty())
    write(*this, "system", defaultSystem, text);
  for (const Message &message : messages)
    write(*this, message.role, message.content, text);
  return text + generationPrefix;
}
