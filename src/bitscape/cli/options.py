"""The options that commands share, so that each means the same everywhere."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from bitscape.recipes import name_and_value

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
Count = Annotated[
    int | None,
    typer.Option(
        "--count", min=1, help="How many images, classes in turn; 16 by default, 10 for compare."
    ),
]
Sampler = Annotated[
    list[str] | None,
    typer.Option("--sampler", help="NAME=VALUE, such as guidance=3; several times for several."),
]
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


def sampler(texts: list[str] | None) -> dict[str, Any]:
    """The options of a trajectory in ["guidance=3", "steps=50"], values in YAML."""
    pairs = [name_and_value("--sampler", text) for text in texts or ()]
    try:
        return {name: yaml.safe_load(value) for name, value in pairs}
    except yaml.YAMLError as error:
        raise ValueError(f"--sampler {' '.join(texts or ())!r}: values are not YAML") from error


def conditions(
    classes: str | None, prompts: list[str] | None, count: int | None, otherwise: int = 16
) -> int | list[int] | list[str]:
    """What to draw: prompts, classes, or `count` images; ValueError for two of them.

    Without any, `otherwise` images.
    """
    given = {"--classes": classes, "--prompt": prompts or None, "--count": count}
    named = [option for option, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"give {named[0]} or {named[1]}, not both: each says what to draw")
    if prompts:
        return prompts
    return (count or otherwise) if classes is None else numbers(classes, "--classes")
