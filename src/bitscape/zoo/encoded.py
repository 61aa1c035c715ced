"""The training images of the zoo's generators, encoded once by the shared tokenizer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitscape.models import MultiScaleTokenizer
from bitscape.zoo import shapes

CHUNK = 512

DONE = "done.txt"
"""How many rows of the arrays are encoded; they have their full length from the start."""


@dataclass(frozen=True)
class Encoded:
    """Tokens, standardised latents and labels of one stretch of the data set, on disk."""

    tokens: NDArray[np.int16]
    latents: NDArray[np.float16]
    labels: NDArray[np.int8]
    raster: NDArray[np.int16] | None = None
    """Tokens of the flat codebook, once it has been fitted."""

    @classmethod
    def open(cls, folder: Path) -> "Encoded":
        """The arrays of `folder`, mapped from disk.

        FileNotFoundError where nothing was encoded, ValueError where encoding stopped half-way:
        what is not encoded yet reads as zeros.
        """
        done = _encoded_rows(folder)
        if not done:
            raise FileNotFoundError(f"no encoded images in {folder}: train the stage encode first")
        names = ["tokens", "latents", "labels"]
        if (folder / "raster.npy").exists():
            names.append("raster")
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
        if done < len(arrays[0]):
            raise ValueError(
                f"{folder} holds {done} of {len(arrays[0])} encoded images: "
                "train the stage encode again, which goes on where it stopped"
            )
        return cls(*arrays)

    def features(self, tokenizer: MultiScaleTokenizer, rows: slice) -> Tensor:
        """Latent maps in the tokenizer's own units, shape (row, channel, height, width)."""
        latents = torch.from_numpy(self.latents[rows].astype(np.float32))
        shift, scale = tokenizer.latent_shift, tokenizer.latent_scale
        return latents * scale[:, None, None] + shift[:, None, None]

    def chunks(self) -> list[slice]:
        """All rows, in slices of CHUNK."""
        return [slice(first, first + CHUNK) for first in range(0, len(self.labels), CHUNK)]

    def batch(self, size: int, step: int) -> NDArray[np.int64]:
        """The rows of one step: consecutive, starting over when the data are used up."""
        return (np.arange(size) + step * size) % len(self.labels)


@torch.no_grad()
def encode(tokenizer: MultiScaleTokenizer, seed: int, count: int, folder: Path) -> Encoded:
    """Encode `count` images of the set `seed` into `folder`, continuing where a run stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    start = _encoded_rows(folder)
    shapes_of = {
        "tokens": ((count, sum(p * p for p in tokenizer.quantizer.patch_nums)), np.int16),
        "latents": (
            (count, len(tokenizer.latent_shift), *[tokenizer.quantizer.side] * 2),
            np.float16,
        ),
        "labels": ((count,), np.int8),
    }
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "r+" if start else "w+", dtype=dtype, shape=shape
        )
        for name, (shape, dtype) in shapes_of.items()
    }
    for first in range(start, count, CHUNK):
        batch = shapes.draw(seed, first, min(CHUNK, count - first))
        rows = slice(first, first + len(batch.labels))
        f = tokenizer.features(batch.images)
        shift, scale = tokenizer.latent_shift, tokenizer.latent_scale
        arrays["tokens"][rows] = torch.cat(tokenizer.quantizer.encode(f)[0], dim=1).numpy()
        arrays["latents"][rows] = ((f - shift[:, None, None]) / scale[:, None, None]).numpy()
        arrays["labels"][rows] = batch.labels.numpy()
        if (first // CHUNK) % 50 == 49:
            for array in arrays.values():
                array.flush()
            (folder / DONE).write_text(str(rows.stop))
    (folder / DONE).write_text(str(count))
    return Encoded.open(folder)


def _encoded_rows(folder: Path) -> int:
    """How many images `folder` holds so far."""
    return int((folder / DONE).read_text()) if (folder / DONE).exists() else 0
