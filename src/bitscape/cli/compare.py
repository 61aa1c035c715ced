"""`bitscape compare`."""

from pathlib import Path
from typing import Annotated

import typer

from bitscape import api
from bitscape.cli import options
from bitscape.cli.pictures import captioned, write_png
from bitscape.cli.terminal import Terminal, table

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
    count: options.Count = 10,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    kernel: options.Kernel = "reference",
    bits: options.Bits = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw both models from the same seeds, one above the other; an existing file is replaced."""
    terminal = Terminal(json, verbose)
    first = api.load(reference, device=device, kernel=kernel)
    second = api.load(model, device=device, kernel=kernel, bits=bits)
    labels = first.labels(options.conditions(classes, prompt, count))
    found = api.compare(first, second, labels, seed=seed)
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
