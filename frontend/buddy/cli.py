# SPDX-FileCopyrightText: The Buddy Authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""The command `buddy`: compile a model, run it, chat with it, measure and profile it, check all.

Text for people goes to standard error, results to standard output; with ``--json`` a command
prints exactly one JSON object. Exit status 0 only on success.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from buddy.errors import BuddyError, OptionError

app = typer.Typer(
    name="buddy",
    help="Compile PyTorch models into native code and run them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Package = Annotated[Path, typer.Argument(metavar="DIR", help="A package made by `buddy compile`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Threads = Annotated[int, typer.Option(help="Threads; 0 takes all cores.", min=0)]
MaxTokens = Annotated[int, typer.Option(help="Most tokens to generate.", min=1)]
Temperature = Annotated[float, typer.Option(help="0 is greedy.", min=0.0)]
TopK = Annotated[int, typer.Option(help="Sample among the K likeliest; 0 is all.", min=0)]
TopP = Annotated[float, typer.Option(help="Sample among the likeliest of this mass.", min=0, max=1)]
Seed = Annotated[int, typer.Option(help="Seed of the sampler.")]
System = Annotated[str | None, typer.Option(help="System message instead of the model's own.")]


def main() -> None:
    """Run the command line; errors are one message and exit status 1, or 2 for wrong usage."""
    try:
        app()
    except BuddyError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None


def fail(message: str) -> NoReturn:
    """Print one error message and leave; with BUDDY_DEBUG=1 the traceback too."""
    from buddy import knobs

    if knobs.debug():
        raise  # noqa: PLE0704 - called from an except block
    typer.echo(f"buddy: error: {message}", err=True)
    raise SystemExit(1)


@app.command("compile")
def compile_model(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A Hugging Face directory, a .gguf file, or a .pt2 file of torch.export.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Directory of the package.")],
    dtype: Annotated[
        str | None, typer.Option(help="f32 (default) or bf16: a language model's computation.")
    ] = None,
    quant: Annotated[
        str | None, typer.Option(help="Quantization of a language model's weights: none.")
    ] = None,
    max_seq_len: Annotated[
        int | None, typer.Option(help="Longest context (default: the model's, at most 2048).")
    ] = None,
    target: Annotated[str, typer.Option(help="What to compile for: cpu.")] = "cpu",
    num_shards: Annotated[
        int | None, typer.Option(help="Parts to split a language model into: 1.")
    ] = None,
    features: Annotated[
        str, typer.Option(help="CPU features: host, sapphirerapids, host,-amx-tile, or +avx2,+fma.")
    ] = "host",
    dump_stages: Annotated[
        Path | None, typer.Option(help="Write every stage of the compile to this directory.")
    ] = None,
    profile: Annotated[
        bool, typer.Option(help="Let `buddy profile` and BUDDY_PROFILE=1 time the kernels.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compile MODEL into a package that runs without Python."""
    from buddy.llm.progress import stages
    from buddy.packages import compile_package

    language = {"quant": quant, "dtype": dtype, "max_seq_len": max_seq_len}
    language["num_shards"] = num_shards
    given = {name: value for name, value in language.items() if value is not None}
    with stages(f"Compiling {model.name}") as on_stage:
        report = compile_package(
            model,
            output,
            target=target,
            features=features,
            dump_dir=dump_stages,
            profile=profile,
            on_stage=on_stage,
            **given,
        )
    _show_report(as_json, output, report)


def _show_report(as_json: bool, output: Path, report) -> None:
    result = {
        "package": str(output),
        "seconds": {name: round(value, 3) for name, value in report.seconds.items()},
        "total_s": round(sum(report.seconds.values()), 3),
        "kernels": report.kernels,
        "weights_bytes": report.weights_bytes,
    }
    parts = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
    show(
        as_json,
        result,
        f"{output}: {report.weights_bytes / 1e6:.0f} MB of weights, {report.kernels} kernels, "
        f"{result['total_s']:.1f} s ({parts})",
    )


@app.command()
def run(
    package: Package,
    prompt: Annotated[str, typer.Option("-p", "--prompt", help="What to say to the model.")],
    max_tokens: MaxTokens = 256,
    temperature: Temperature = 0.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    system: System = None,
    threads: Threads = 0,
    raw: Annotated[bool, typer.Option("--raw", help="No chat template.")] = False,
    as_json: Json = False,
) -> None:
    """Answer one prompt."""
    from buddy.llm.chat import ChatModule, Sampling

    module = ChatModule(package, threads=threads)
    if not raw and not module.chats:
        typer.echo("buddy: the model has no chat template, the text is completed", err=True)
    sampling = Sampling(max_tokens, temperature, top_k, top_p, seed)
    stream = None if as_json else write_now
    answer = module.generate(prompt, stream=stream, sampling=sampling, raw=raw, system=system)
    if as_json:
        typer.echo(json.dumps(answer.as_dict()))
    else:
        typer.echo()
        typer.echo(answer.summary(), err=True)


@app.command()
def chat(
    package: Package,
    max_tokens: MaxTokens = 1024,
    temperature: Temperature = 0.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    system: System = None,
    threads: Threads = 0,
) -> None:
    """Talk to the model; /reset starts again, /stats shows speeds, /exit or Ctrl-D leaves."""
    from buddy.llm.chat import ChatModule, Sampling

    module = ChatModule(package, threads=threads)
    sampling = Sampling(max_tokens, temperature, top_k, top_p, seed)
    typer.echo(f"{package.name}: /reset, /stats, /exit", err=True)
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if line in ("/exit", "/quit"):
            return
        if line == "/reset":
            module.reset_chat()
        elif line == "/stats":
            typer.echo(json.dumps(module.stats()), err=True)
        elif line:
            _turn(module, line, sampling, system)


def _turn(module, line: str, sampling, system: str | None) -> None:
    """One answer; an error (a full context) leaves the conversation usable."""
    try:
        module.generate(line, stream=write_now, sampling=sampling, system=system)
    except BuddyError as error:
        typer.echo(f"buddy: {error}", err=True)
    typer.echo()


@app.command()
def bench(
    package: Package,
    prompt_tokens: Annotated[int, typer.Option("-p", "--prompt-tokens", min=1)] = 128,
    new_tokens: Annotated[int, typer.Option("-n", "--new-tokens", min=1)] = 128,
    repeat: Annotated[int, typer.Option(help="Runs; the best counts.", min=1)] = 3,
    threads: Threads = 0,
    as_json: Json = False,
) -> None:
    """Measure prefill and decode speed."""
    from buddy.llm.chat import benchmark

    figures = benchmark(package, prompt_tokens, new_tokens, repeat, threads)
    text = (
        f"prefill {figures['prefill_tok_s']:.1f} tok/s ({prompt_tokens} tokens)\n"
        f"decode  {figures['decode_tok_s']:.1f} tok/s ({new_tokens} tokens)\n"
        f"first token {figures['ttft_s'] * 1e3:.1f} ms, load {figures['load_s']:.2f} s, "
        f"peak memory {figures['peak_rss_bytes'] / 1e6:.0f} MB, {figures['threads']} threads"
    )
    show(as_json, figures, text)


@app.command(context_settings={"ignore_unknown_options": True})
def profile(
    target: Annotated[
        Path, typer.Argument(metavar="DIR|SCRIPT", help="A package, or a Python script to run.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", help="For the script; after `--` in any case."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="What to complete (package; else 128 ids).")
    ] = None,
    max_tokens: Annotated[int, typer.Option(help="Tokens to generate (package).", min=1)] = 32,
    threads: Threads = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where files go (BUDDY_PROFILE_DIR, ./buddy-profile)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time every kernel: a table, a trace for Perfetto and a page with a roofline."""
    from buddy import knobs, profiling

    directory = output or knobs.profile_dir()
    if target.suffix == ".py":
        profiling.profile_script(target, arguments or [], directory, threads, quiet=as_json)
        text = None  # the script's own process has printed it
    elif arguments:
        raise OptionError(f"{' '.join(arguments)}: only a script (.py) takes arguments")
    else:
        result = profiling.profile_package(target, directory, prompt, max_tokens, threads)
        text = profiling.describe(result)
    if as_json:
        typer.echo(json.dumps(profiling.read_kernels(directory)))
    elif text:
        typer.echo(text)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that everything Buddy needs is there, and say what to do where it is not."""
    from buddy.doctor import examine

    findings = examine()
    if as_json:
        checks = [finding.as_dict() for finding in findings]
        typer.echo(json.dumps({"ok": all(f.ok for f in findings), "checks": checks}))
    else:
        for finding in findings:
            typer.echo(finding.line())
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def show(as_json: bool, figures: dict, text: str) -> None:
    """Print a result: the JSON object, or the text for people."""
    typer.echo(json.dumps(figures) if as_json else text)


def write_now(text: str) -> None:
    """Print a piece of an answer as soon as it is there."""
    typer.echo(text, nl=False)
    sys.stdout.flush()
