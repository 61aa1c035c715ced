"""`bitscape compare`."""

from pathlib import Path
from typing import Annotated

import typer

from bitscape import api
from bitscape.cli import options
from bitscape.cli.pictures import captioned, write_png
from bitscape.cli.terminal import Terminal, table
from bitscape.cli.weights import Weights, is_artefact
from bitscape.files import require_no_folder

Reference = Annotated[str, typer.Argument(metavar="REFERENCE", help="The model to compare with.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("compare", help=summary)(compare)


def compare(
    reference: Reference,
    model: options.Model,
    out: options.Picture = Path("compare.png"),
    classes: options.Classes = None,
    prompt: options.Prompts = None,
    count: options.Count = None,
    sampler: options.Sampler = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    kernel: options.Kernel = "reference",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    bits: options.Bits = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw both models from the same seeds, one above the other; an existing file is replaced.

    Released weights are those of REFERENCE, or of MODEL where REFERENCE is an artefact.
    """
    terminal = Terminal(json, verbose)
    conditions = options.conditions(classes, prompt, count, otherwise=10)
    drawn = options.sampler(sampler)
    require_no_folder(out)
    theirs, ours = Weights(checkpoint, tokenizer), Weights()
    if is_artefact(reference) and not is_artefact(model):
        theirs, ours = ours, theirs
    first = theirs.load(reference, device=device, kernel=kernel)
    second = ours.load(model, sampler=drawn, device=device, kernel=kernel, bits=bits)
    labels = first.labels(conditions)
    _show(terminal, api.compare(first, second, labels, seed=seed), out, seed)


def _show(terminal: Terminal, found: api.Comparison, out: Path, seed: int) -> None:
    """Write the picture and print the numbers."""
    numbers = found.numbers
    notes = [f"{_decibels(image['psnr'])}\nSSIM {image['ssim']:.3f}" for image in numbers["images"]]
    titles = [f"{name}, seed {seed}" for name in numbers["models"]]
    write_png(captioned([found.reference, found.images], titles, notes), out)
    kept = ("n", "psnr", "ssim", "identical_images", "token_agreement", "kl")
    rows = [(key, "-" if numbers[key] is None else numbers[key]) for key in kept]
    terminal.result(
        {"out": str(out), **numbers}, table(("figure", "value"), rows, title=f"written to {out}")
    )


def _decibels(psnr: float | None) -> str:
    return "identical" if psnr is None else f"{psnr:.1f} dB"
