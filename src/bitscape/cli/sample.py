"""`bitscape sample`."""

from pathlib import Path

import numpy as np
import typer

from bitscape.api import Model
from bitscape.cli import options
from bitscape.cli.pictures import Images, grid, write_png
from bitscape.cli.terminal import Report, Terminal
from bitscape.cli.weights import Weights
from bitscape.files import require_no_folder

BATCH = 64


def register(app: typer.Typer, summary: str) -> None:
    """Add the command to the application."""
    app.command("sample", help=summary)(sample)


def sample(
    model: options.Model,
    out: options.Picture = Path("grid.png"),
    classes: options.Classes = None,
    prompt: options.Prompts = None,
    count: options.Count = None,
    sampler: options.Sampler = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    kernel: options.Kernel = "auto",
    checkpoint: options.Checkpoint = None,
    tokenizer: options.Tokenizer = None,
    bits: options.Bits = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw images into one PNG; an existing file is replaced."""
    terminal = Terminal(json, verbose)
    conditions = options.conditions(classes, prompt, count)
    require_no_folder(out)
    weights, drawn = Weights(checkpoint, tokenizer), options.sampler(sampler)
    loaded = weights.load(model, sampler=drawn, device=device, kernel=kernel, bits=bits)
    terminal.kernels(loaded.choices)
    labels = loaded.labels(conditions)
    with terminal.progress() as report:
        images = draw(loaded, labels, seed, report)
    write_png(grid(images), out)
    kind = "prompts" if isinstance(labels[0], str) else "classes"
    terminal.result(
        {
            "out": str(out),
            "model": loaded.name,
            "seed": seed,
            "sampler": dict(loaded.outline.sampler),
            kind: labels,
        },
        f"{len(images)} images of {loaded.source or loaded.name} in {out}",
    )


def draw(model: Model, labels: list[int] | list[str], seed: int, report: Report) -> Images:
    """The images of labels or prompts, in the batches that `Model.sample` uses, with progress."""
    parts = []
    for first in range(0, len(labels), BATCH):
        part = labels[first : first + BATCH]
        parts.append(model.pipeline.sample(part, seed=seed, first=first).cpu().numpy())
        report(f"sample {model.name}", first + len(part), len(labels))
    return np.concatenate(parts)
