// SPDX-FileCopyrightText: The Buddy Authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef BUDDY_RUNTIME_CHATTEMPLATE_H
#define BUDDY_RUNTIME_CHATTEMPLATE_H

#include <map>
#include <string>
#include <vector>

namespace buddy::runtime {

/// One turn of a conversation; the role is "system", "user" or "assistant".
struct Message {
  std::string role;
  std::string content;
};

/// How a model wants a conversation written: each message between the prefix and suffix of its
/// role. The packager derives it from the model's Jinja template and stores it only when it
/// reproduces that template on real conversations.
struct ChatTemplate {
  struct Frame {
    std::string prefix, suffix;
  };

  std::string start;         // before everything, mostly empty
  std::string defaultSystem; // content of a system message when the conversation has none
  std::map<std::string, Frame> roles;
  std::string generationPrefix; // opens the assistant's answer

  /// The conversation as text, ready for the assistant to answer. Throws ArgumentError for a role
  /// the model does not have.
  std::string apply(const std::vector<Message> &messages) const;
};

} // namespace buddy::runtime

#endif // BUDDY_RUNTIME_CHATTEMPLATE_H
