# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Talking to a model package from Python, over the same C++ session that buddy-llama uses."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from buddy import knobs
from buddy.errors import BuddyError

# A prompt of the benchmark: any tokens do, since speed does not depend on which.
BENCHMARK_FIRST_ID, BENCHMARK_STEP = 17, 7


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 is greedy, ``top_k`` 0 and ``top_p`` 1 keep all."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """One generation: ids with the stop token that ended it, text without special tokens."""

    prompt_ids: list[int]
    ids: list[int]
    text: str
    finish_reason: str
    ttft_s: float
    prefill_tok_s: float
    decode_tok_s: float
    load_s: float
    threads: int

    def as_dict(self) -> dict:
        return asdict(self)

    def summary(self) -> str:
        """One line for people."""
        return (
            f"[{len(self.prompt_ids)} + {len(self.ids)} tokens, {self.finish_reason}; "
            f"prefill {self.prefill_tok_s:.0f} tok/s, decode {self.decode_tok_s:.1f} tok/s, "
            f"first token {self.ttft_s * 1e3:.0f} ms]"
        )


class ChatModule:
    """A package and one conversation with it. Not for several threads at once."""

    def __init__(self, package: str | Path, threads: int = 0):
        from buddy import _runtime, profiling

        if knobs.profile():
            profiling.start_for_process()
        self._session = _runtime.Session(str(package), threads or knobs.num_threads())
        self._messages: list[dict[str, str]] = []
        self._answers: list[Answer] = []

    @property
    def load_seconds(self) -> float:
        """How long opening the package took."""
        return self._session.load_s

    @property
    def vocab_size(self) -> int:
        return self._session.vocab_size

    @property
    def chats(self) -> bool:
        """Whether the package has a chat template; without one prompts are completed as they are."""
        return self._session.has_chat_template

    def generate(
        self,
        prompt: str,
        stream: Callable[[str], None] | None = None,
        *,
        max_tokens: int | None = None,
        sampling: Sampling | None = None,
        raw: bool = False,
        system: str | None = None,
    ) -> Answer:
        """Answer ``prompt`` as the next turn of the conversation, or complete it if ``raw``.

        ``stream`` gets the text piece by piece; ``system`` is a system message for a conversation
        that has none yet. A turn that fails leaves the conversation as it was.
        """
        sampling = sampling or Sampling()
        if max_tokens is not None:
            sampling = Sampling(**(asdict(sampling) | {"max_tokens": max_tokens}))
        if raw or not self.chats:
            return self._run(self._session.encode(prompt), sampling, stream)
        messages = list(self._messages)
        if system is not None and not messages:
            messages.append({"role": "system", "content": system})
        messages.append({"role": "user", "content": prompt})
        ids = self._session.encode(self._session.render_chat(messages))
        answer = self._run(ids, sampling, stream)
        self._messages = [*messages, {"role": "assistant", "content": answer.text}]
        return answer

    def benchmark_generate(self, prompt: str | list[int], generate_length: int) -> Answer:
        """Generate exactly ``generate_length`` tokens after a text or ids, whatever they are."""
        ids = self._session.encode(prompt) if isinstance(prompt, str) else prompt
        self._session.reset()
        return self._run(ids, Sampling(max_tokens=generate_length), None, stop_ids=[])

    def stats(self) -> dict:
        """Figures of the conversation so far: answers, tokens, and the last answer's speeds."""
        last = self._answers[-1] if self._answers else None
        return {
            "answers": len(self._answers),
            "prompt_tokens": len(last.prompt_ids) if last else 0,
            "new_tokens": sum(len(answer.ids) for answer in self._answers),
            "prefill_tok_s": last.prefill_tok_s if last else 0.0,
            "decode_tok_s": last.decode_tok_s if last else 0.0,
            "ttft_s": last.ttft_s if last else 0.0,
            "load_s": self.load_seconds,
        }

    def reset_chat(self) -> None:
        """Forget the conversation."""
        self._session.reset()
        self._messages = []
        self._answers = []

    def _run(
        self,
        ids: list[int],
        sampling: Sampling,
        stream: Callable[[str], None] | None,
        stop_ids: list[int] | None = None,
    ) -> Answer:
        from buddy import _runtime

        on_token = (lambda token, piece: stream(piece)) if stream else None
        try:
            result = self._session.generate(
                ids, **asdict(sampling), stop_ids=stop_ids, on_token=on_token
            )
        except _runtime.ArgumentError as error:
            raise BuddyError(str(error)) from error
        known = {field.name for field in fields(Answer)} & result.keys()
        answer = Answer(prompt_ids=list(ids), **{name: result[name] for name in known})
        self._answers.append(answer)
        return answer


def benchmark(
    package: str | Path, prompt_tokens: int, new_tokens: int, repeat: int, threads: int
) -> dict:
    """Speeds of a package: best of ``repeat`` runs after one that warms up."""
    from buddy import _runtime

    module = ChatModule(package, threads)
    ids = [
        (BENCHMARK_FIRST_ID + BENCHMARK_STEP * i) % module.vocab_size for i in range(prompt_tokens)
    ]
    module.benchmark_generate(ids, min(new_tokens, 4))
    runs = [module.benchmark_generate(ids, new_tokens) for _ in range(repeat)]
    return {
        "prefill_tok_s": max(run.prefill_tok_s for run in runs),
        "decode_tok_s": max(run.decode_tok_s for run in runs),
        "ttft_s": min(run.ttft_s for run in runs),
        "load_s": module.load_seconds,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "threads": _runtime.num_threads(),
        "prompt_tokens": prompt_tokens,
        "new_tokens": len(runs[-1].ids),
    }
