"""Training the zoo's VAR and DiT on images that the shared tokenizer has encoded once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bitscape.models import (
    VAR,
    DiT,
    DiTAdapter,
    DiTConfig,
    MultiScaleTokenizer,
    VARAdapter,
    VARConfig,
)
from bitscape.zoo import shapes

CHUNK = 512
WEIGHT_LIMIT = 100.0


@dataclass(frozen=True)
class Encoded:
    """Tokens, standardised latents and labels of one stretch of the data set, on disk."""

    tokens: NDArray[np.int16]
    latents: NDArray[np.float16]
    labels: NDArray[np.int8]

    @classmethod
    def open(cls, folder: Path) -> "Encoded":
        """The arrays of `folder`, mapped from disk."""
        names = ("tokens", "latents", "labels")
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))

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


@dataclass
class NextScale:
    """Predict each scale's tokens from the coarser ones; labels are dropped for guidance."""

    module: VAR
    adapter: VARAdapter
    data: Encoded
    seed: int
    batch: int

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean negative log-likelihood of one batch, nats a token."""
        rows, drawn = self.data.batch(self.batch, step), _generator(self.seed, step)
        labels = _dropped(self.data.labels[rows], self.module.config, drawn)
        flat = torch.from_numpy(self.data.tokens[rows].astype(np.int64))
        tokens = flat.split([pn * pn for pn in self.module.config.patch_nums], dim=1)
        lesson = self.adapter.token_lesson(tokens, labels)
        return {"loss": self.adapter.loss(self.module(*lesson.call.args), lesson.target).mean()}


@dataclass
class Denoising:
    """Predict the noise of noised latents; labels are dropped for guidance.

    The squared error at timestep t is weighted by 1 / alpha_bar, which makes it the loss of
    velocity prediction (Salimans and Ho, arXiv 2202.00512), bounded by WEIGHT_LIMIT. Unweighted,
    the timesteps at which class and layout are decided carry less than a hundredth of the loss,
    and models this small never learn them.
    """

    module: DiT
    adapter: DiTAdapter
    data: Encoded
    seed: int
    batch: int

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean squared error of the noise over one batch."""
        rows, drawn = self.data.batch(self.batch, step), _generator(self.seed, step)
        labels = _dropped(self.data.labels[rows], self.module.config, drawn)
        latents = torch.from_numpy(self.data.latents[rows].astype(np.float32))
        times = self.adapter.diffusion.timesteps
        # Stratified timesteps, one from each of `batch` equal spans: less noise in the loss.
        spans = torch.arange(self.batch) + torch.rand(self.batch, generator=drawn)
        t = (spans * times / self.batch).long().clamp_max(times - 1)
        noise = torch.randn(latents.shape, generator=drawn)
        lesson = self.adapter.noise_lesson(latents, labels, t, noise)
        losses = self.adapter.loss(self.module(*lesson.call.args), lesson.target)
        weights = (1 / self.adapter.diffusion.signal()).clamp_max(WEIGHT_LIMIT).float()
        weighted = (weights[t] / weights.mean() * losses).mean()
        return {"loss": weighted, "denoising_loss": losses.mean().detach()}


def block_matrices(module: nn.Module) -> list[nn.Parameter]:
    """The weights of the transformer blocks' linears, which Muon trains."""
    blocks = module.get_submodule("blocks")
    return [p for p in blocks.parameters() if p.ndim == 2]


def _generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def _dropped(
    labels: NDArray[np.int8], config: VARConfig | DiTConfig, generator: torch.Generator
) -> Tensor:
    result = torch.from_numpy(labels.astype(np.int64))
    dropped = torch.rand(len(result), generator=generator) < config.label_dropout
    return torch.where(dropped, config.num_classes, result)
