"""The command line on a zoo of random weights: `python untrained_zoo.py WORDS...`.

Commands are tested in processes of their own, to be killed, and without trained weights.
"""

import sys
from types import ModuleType
from typing import Any

import torch
from torch import nn

from bitscape import zoo
from bitscape.evaluation import EvaluationProtocol
from bitscape.structure import Pipeline
from bitscape.zoo import autoencoder, checkpoints, protocol, raster


def load_pipeline(name: str) -> Pipeline:
    """A member of the zoo with random weights in every layer, exact in bfloat16."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        entry = zoo.ENTRIES[name]
        tokenizer = (raster if entry.family == "llamagen" else autoencoder).build()
        pipeline = checkpoints.assemble_entry(entry, tokenizer.eval())
        for parameter in pipeline.network.parameters():
            spread = 0.5 * parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            nn.init.normal_(parameter, std=spread)
            parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)
    return pipeline


def load_observer() -> nn.Module:
    """An evaluation network with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return zoo.Observer().eval()


def few_real_images(**words: Any) -> EvaluationProtocol:
    """The protocol with a reference that takes a second instead of a minute."""
    return EvaluationProtocol(**(words | {"real": 40}))


def available() -> list[str]:
    """The names of this zoo."""
    return ["var-xs", "dit-xs"]


STAND_INS: list[tuple[ModuleType, str, Any]] = [
    (zoo, "available", available),
    (zoo, "load_pipeline", load_pipeline),
    (protocol, "load_observer", load_observer),
    (protocol, "EvaluationProtocol", few_real_images),
]


if __name__ == "__main__":
    from bitscape.cli import main

    torch.set_num_threads(1)
    for module, attribute, stand_in in STAND_INS:
        setattr(module, attribute, stand_in)
    sys.exit(main(sys.argv[1:]))
