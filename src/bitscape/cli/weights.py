"""Released weights that a command was given, for whichever of its models needs them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bitscape import api


class Weights(NamedTuple):
    """The files of `--checkpoint` and `--tokenizer`, or none."""

    checkpoint: Path | None = None
    tokenizer: Path | None = None

    def load(
        self, name: str, *, sampler: Mapping[str, Any] | None = None, **options: Any
    ) -> api.Model:
        """The model `name` with these weights; `options` are those of `api.load`.

        It draws with the options `sampler` in place of its own.
        """
        found = api.load(name, checkpoint=self.checkpoint, tokenizer=self.tokenizer, **options)
        return found.with_sampler(**sampler) if sampler else found


def is_artefact(name: str) -> bool:
    """Whether `name` is a folder, whose model holds its own weights."""
    return Path(name).is_dir()
