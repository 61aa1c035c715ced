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
        """The arrays of `folder`, mapped from disk."""
        names = ["tokens", "latents", "labels"]
        if (folder / "raster.npy").exists():
            names.append("raster")
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))

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
    done = folder / "done.txt"
    start = int(done.read_text()) if done.exists() else 0
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
            done.write_text(str(rows.stop))
    done.write_text(str(count))
    return Encoded.open(folder)
