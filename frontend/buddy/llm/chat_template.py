# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""A model's Jinja chat template as plain prefixes and suffixes, which the runtime can apply.

The template is rendered with recognizable texts in the place of messages, what stands around
them is cut out, and the result is checked against real renderings. A template that does more
than surround messages is refused, and the package then offers completion only.
"""

from __future__ import annotations

from dataclasses import dataclass

from buddy.errors import BuddyError

Message = dict[str, str]
MARKS = {"system": "@@system@@", "user": "@@user@@", "assistant": "@@assistant@@"}
# Conversations, by role, that the derived form must reproduce.
CHECKED = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)


class NotDerivable(BuddyError):
    """The template cannot be written as prefixes and suffixes; the message says why."""


@dataclass(frozen=True)
class ChatTemplate:
    """``start`` begins every conversation; ``roles`` maps a role to its (prefix, suffix).

    ``default_system`` is the system message a conversation without one gets, None for none.
    """

    start: str
    default_system: str | None
    roles: dict[str, tuple[str, str]]
    generation_prefix: str

    def manifest(self) -> dict:
        """The manifest's entry (JSON); an empty ``default_system`` is none."""
        return {
            "start": self.start,
            "default_system": self.default_system or "",
            "roles": {role: list(around) for role, around in self.roles.items()},
            "generation_prefix": self.generation_prefix,
        }

    def render(self, messages: list[Message]) -> str:
        """The prompt for ``messages`` with the assistant's turn begun: what the runtime does."""
        if self.default_system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.default_system}, *messages]
        turns = [message["content"].join(self.roles[message["role"]]) for message in messages]
        return self.start + "".join(turns) + self.generation_prefix


def derive(tokenizer) -> ChatTemplate | None:
    """The chat template of a transformers tokenizer; None if it has none."""
    if not tokenizer.chat_template:
        return None
    template = _derive(tokenizer)
    for roles in CHECKED:
        if "system" in roles and "system" not in template.roles:
            continue
        messages = [
            {"role": role, "content": f"Text {i} of the {role}.\nSecond line"}
            for i, role in enumerate(roles)
        ]
        if template.render(messages) != _render(tokenizer, messages, generate=True):
            raise NotDerivable(f"the chat template does more than surround messages ({roles})")
    return template


def _render(tokenizer, messages: list[Message], generate: bool = False) -> str:
    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=generate
        )
    except Exception as error:  # templates raise TemplateError, TypeError, or whatever they call
        raise NotDerivable(f"the chat template refuses a conversation: {error}") from error


def _marked(*roles: str) -> list[Message]:
    return [{"role": role, "content": MARKS[role]} for role in roles]


def _cut(text: str, *roles: str) -> list[str]:
    """The pieces of ``text`` around the marks of ``roles``, which must stand in this order."""
    pieces = []
    for role in roles:
        piece, mark, text = text.partition(MARKS[role])
        if not mark:
            raise NotDerivable(f"the chat template drops or changes the {role} message")
        pieces.append(piece)
    return [*pieces, text]


def _without(text: str, suffix: str = "", prefix: str = "") -> str:
    if not text.endswith(suffix) or not text.startswith(prefix):
        raise NotDerivable("the chat template writes a message differently by its place")
    return text[len(prefix) : len(text) - len(suffix)]


def _derive(tokenizer) -> ChatTemplate:
    """Cut the pieces out of renderings of u, ua and uau, then find what a system message adds."""
    alone = _render(tokenizer, _marked("user"))
    generation_prefix = _without(_render(tokenizer, _marked("user"), generate=True), prefix=alone)
    opening, user_suffix = _cut(alone, "user")
    _, between, assistant_suffix = _cut(
        _render(tokenizer, _marked("user", "assistant")), "user", "assistant"
    )
    assistant_prefix = _without(between, prefix=user_suffix)
    turns = _cut(
        _render(tokenizer, _marked("user", "assistant", "user")), "user", "assistant", "user"
    )
    user_prefix = _without(turns[2], prefix=assistant_suffix)
    roles = {
        "user": (user_prefix, user_suffix),
        "assistant": (assistant_prefix, assistant_suffix),
    }
    opening = _without(opening, suffix=user_prefix)
    start, default_system = opening, None
    system = _system(tokenizer, user_prefix)
    if system is not None:
        prefix, suffix = system
        if opening.startswith(prefix) and opening.endswith(suffix) and opening:
            start, default_system = "", _without(opening, suffix=suffix, prefix=prefix)
        roles["system"] = (_without(prefix, prefix=start), suffix)
    return ChatTemplate(start, default_system, roles, generation_prefix)


def _system(tokenizer, user_prefix: str) -> tuple[str, str] | None:
    """What stands around a system message; None if the template does not take one."""
    try:
        text = _render(tokenizer, _marked("system", "user"))
        prefix, between, _ = _cut(text, "system", "user")
        return prefix, _without(between, suffix=user_prefix)
    except NotDerivable:
        return None
