"""`python -m bitscape.zoo STAGE...`: train stages of the zoo."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from bitscape.zoo.checkpoints import FOLDER
from bitscape.zoo.training import Workshop, stages


def main() -> None:
    """Run the named stages in the order given."""
    known = stages()
    parser = argparse.ArgumentParser(prog="python -m bitscape.zoo", description=__doc__)
    parser.add_argument("stage", nargs="+", choices=list(known))
    parser.add_argument("--workspace", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--weights", type=Path, default=FOLDER)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)

    def progress(step: int, steps: int, means: Mapping[str, float]) -> None:
        figures = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"{step}/{steps} {figures}", file=sys.stderr, flush=True)

    for name in options.stage:
        print(name, file=sys.stderr, flush=True)
        known[name](Workshop(options.workspace, options.weights, progress))


main()
