"""A pipeline whose weights lie in released files, and the place of those weights there."""

from dataclasses import dataclass
from pathlib import Path

import torch

from bitscape import artefacts
from bitscape.models import FAMILIES
from bitscape.structure import Pipeline


@dataclass(frozen=True)
class Released:
    """Where the weights of a pipeline are read from, and what they become; `dtype` None: float32.

    The tokenizer stays in the precision it was built in.
    """

    network: artefacts.Weights
    tokenizer: artefacts.Weights
    device: torch.device
    dtype: torch.dtype | None = None

    def fill(self, pipeline: Pipeline) -> None:
        """Read every weight of `pipeline`, in place."""
        self.prepare(pipeline)
        self.network.fill(pipeline.network, device=self.device)
        self.fill_tokenizer(pipeline)
        # Buffers that no file holds.
        for module in (pipeline.network, pipeline.tokenizer, *pipeline.clocks.values()):
            module.to(self.device)

    def prepare(self, pipeline: Pipeline) -> None:
        """Give the network its dtype, in place; parameters may be on the meta device."""
        # Buffers too, or a float32 one would widen the activations that meet it.
        if self.dtype is not None:
            pipeline.network.to(self.dtype)

    def fill_tokenizer(self, pipeline: Pipeline) -> None:
        """Read the weights of the tokenizer, in place."""
        self.tokenizer.fill(pipeline.tokenizer, device=self.device)

    def identity(self) -> str:
        """A digest of the files and of how they are read, without building the network."""
        parts = {
            "files": [artefacts.file_sha256(path) for path in self.files],
            "layouts": [[w.layout, w.place] for w in (self.network, self.tokenizer)],
            "dtype": str(self.dtype),
        }
        return artefacts.json_sha256(parts)

    @property
    def files(self) -> list[Path]:
        """The files of both."""
        return list(dict.fromkeys([*self.network.file.files, *self.tokenizer.file.files]))


def network_weights(file: artefacts.ForeignFile, pipeline: Pipeline) -> artefacts.Weights:
    """The weights of the network of `pipeline` in `file`; ValueError when they are not there."""
    layouts = FAMILIES[pipeline.family].layouts
    return artefacts.match(pipeline.network, layouts, file, pipeline.name)


def tokenizer_weights(file: artefacts.ForeignFile, pipeline: Pipeline) -> artefacts.Weights:
    """The weights of the tokenizer of `pipeline` in `file`; ValueError when they are not there."""
    layouts = FAMILIES[pipeline.family].tokenizer_layouts
    return artefacts.match(pipeline.tokenizer, layouts, file, f"the tokenizer of {pipeline.name}")
