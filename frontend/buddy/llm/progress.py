# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Progress of long work, for people, on standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

DESCRIPTIONS = {
    "load": "reading the model",
    "capture": "capturing its graph",
    "import": "importing the graph",
    "compile": "compiling",
    "weights": "preparing and writing weights",
    "manifest": "writing the manifest",
}


@contextlib.contextmanager
def stages(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the name of the stage; the callable given names the next stage."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(title) as status:

        def on_stage(name: str) -> None:
            text = f"{title}: {DESCRIPTIONS.get(name, name)}"
            status.update(text)
            if not console.is_terminal:
                console.out(text, highlight=False)

        yield on_stage
