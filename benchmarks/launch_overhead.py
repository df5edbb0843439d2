# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Cost of a torch.compile(backend="buddy") call beside its kernels, with 200 parameters.

The module adds 200 small vectors to its input, a microsecond of work. Dynamo's own guards are
measured with a backend that does nothing and taken off. What is left is our launcher with its
kernels: an upper bound of the overhead.
"""

import argparse
import json
import statistics
import time

import torch


class ManyParameters(torch.nn.Module):
    def __init__(self, count: int):
        super().__init__()
        self.terms = torch.nn.ParameterList(torch.full((16,), float(i)) for i in range(count))

    def forward(self, x):
        for term in self.terms:
            x = x + term
        return x


def median_seconds(call, repeat: int) -> float:
    for _ in range(100):
        call()
    samples = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def nothing(graph_module, example_inputs):
    """A backend whose compiled graph returns at once: what is timed then is Dynamo."""
    out = (torch.zeros(16),)
    return lambda *args: out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parameters", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=2000)
    options = parser.parse_args()
    x = torch.randn(16)
    module = ManyParameters(options.parameters).eval()
    with torch.inference_mode():
        compiled = torch.compile(
            module, backend="buddy", fullgraph=True, options={"fallback": False}
        )
        torch.testing.assert_close(compiled(x), module(x))
        call = median_seconds(lambda: compiled(x), options.repeat)
        torch.compiler.reset()
        empty = torch.compile(module, backend=nothing, fullgraph=True)
        guards = median_seconds(lambda: empty(x), options.repeat)
    result = {
        "parameters": options.parameters,
        "call_us": call * 1e6,
        "dynamo_us": guards * 1e6,
        "launch_and_kernels_us": (call - guards) * 1e6,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
