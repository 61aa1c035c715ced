"""`bitscape zoo train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer

from bitscape.cli import options
from bitscape.cli.terminal import Terminal
from bitscape.zoo.checkpoints import FOLDER
from bitscape.zoo.training import Workshop, stages

Stages = Annotated[list[str], typer.Argument(help="autoencoder, encode, observer, var-s, ...")]
Workspace = Annotated[Path, typer.Option("--workspace", help="State and logs of training.")]
Weights = Annotated[Path, typer.Option("--weights", help="Where finished weights are written.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")]


def register(app: typer.Typer, summary: str) -> None:
    """Add the group to the application."""
    group = typer.Typer(help=summary, invoke_without_command=True)
    group.callback()(_group)
    group.command("train", help="Train stages of the zoo, each resumable.")(train)
    app.add_typer(group, name="zoo")


def train(
    stage: Stages,
    workspace: Workspace = Path("runs/zoo"),
    weights: Weights = FOLDER,
    threads: Threads = 1,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Run the named stages in the order given."""
    terminal = Terminal(json, verbose)
    known = stages()
    for name in stage:
        if name not in known:
            raise ValueError(f"unknown stage {name!r}: one of {', '.join(known)}")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    with terminal.progress() as report:
        for name in stage:

            def watch(step: int, steps: int, means: Mapping[str, float], name: str = name) -> None:
                report(name, step, steps)
                terminal.detail(" ".join(f"{key} {value:.4f}" for key, value in means.items()))

            known[name](Workshop(workspace, weights, watch))
    terminal.result(
        {"stages": stage, "weights": str(weights)}, f"{', '.join(stage)}: weights in {weights}"
    )


def _group(context: typer.Context) -> None:
    """Train the bundled models."""
    if context.invoked_subcommand is None:
        raise ValueError(f"write `bitscape zoo train STAGE...`, of {', '.join(stages())}")
