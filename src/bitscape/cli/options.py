"""The options that commands share, so that each means the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="zoo:NAME, an artefact folder, or a family size with --checkpoint."
    ),
]
Recipe = Annotated[
    str, typer.Option("--recipe", help="Recipe name (see `bitscape recipes`) or YAML file.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE of the method; several times for several."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist.")]
Against = Annotated[
    str | None,
    typer.Option("--against", help="Full precision to compare with; found by name by default."),
]
Picture = Annotated[Path, typer.Option("--out", help="PNG to write.")]
Checkpoint = Annotated[Path | None, typer.Option("--checkpoint", help="Released weights of MODEL.")]
Tokenizer = Annotated[Path | None, typer.Option("--tokenizer", help="Released tokenizer of MODEL.")]
Classes = Annotated[str | None, typer.Option("--classes", help="Class numbers, such as 0,3,7.")]
Prompts = Annotated[
    list[str] | None, typer.Option("--prompt", help="A text to draw; once for each image.")
]
Count = Annotated[int, typer.Option("--count", min=1, help="How many images, classes in turn.")]
Kernel = Annotated[str, typer.Option("--kernel", help="auto, reference, or the name of a kernel.")]
Bits = Annotated[
    int | None, typer.Option("--bits", help="Read nested codes (matryoshka) at this width.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ...")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Estimate time, memory and disk; do nothing.")
]


def words(text: str) -> list[str]:
    """The words in "fp32,bf16"."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str, option: str) -> list[int]:
    """The integers in "0,3,7"; ValueError for anything else, naming the option."""
    wrong = [word for word in text.split(",") if not word.strip().lstrip("-").isdigit()]
    if wrong:
        raise ValueError(f"{option} {text!r}: {wrong[0]!r} is not a whole number; write 0,3,7")
    return [int(word) for word in text.split(",")]


def conditions(
    classes: str | None, prompts: list[str] | None, count: int
) -> int | list[int] | list[str]:
    """What to draw: prompts, classes, or a number of images; ValueError for prompts and classes."""
    if prompts and classes is not None:
        raise ValueError("give --classes or --prompt, not both")
    if prompts:
        return prompts
    return count if classes is None else numbers(classes, "--classes")
