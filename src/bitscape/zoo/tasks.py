"""What each family of the zoo is trained to do on the encoded images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bitscape.models import DiTAdapter, VARAdapter
from bitscape.structure import Lesson, Pipeline, drive
from bitscape.training import Task
from bitscape.zoo.encoded import Encoded

WEIGHT_LIMIT = 100.0


@dataclass
class GeneratorTask:
    """A pipeline and its encoded images; families differ in the lesson that a batch becomes."""

    pipeline: Pipeline
    data: Encoded
    seed: int
    batch: int

    @property
    def module(self) -> nn.Module:
        """The network that is trained."""
        return self.pipeline.network

    def drawn(self, step: int) -> torch.Generator:
        """The random numbers of one step."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + step)

    def rows(self, step: int) -> NDArray[np.int64]:
        """The images of one step."""
        return self.data.batch(self.batch, step)

    def labels(self, step: int, generator: torch.Generator) -> Tensor:
        """The classes of one step, some replaced by "no class" for guidance."""
        config = self.pipeline.adapter.config
        result = torch.from_numpy(self.data.labels[self.rows(step)].astype(np.int64))
        dropped = torch.rand(len(result), generator=generator) < config.label_dropout
        return torch.where(dropped, config.num_classes, result)

    def per_image(self, lesson: Lesson) -> Tensor:
        """The family's loss on each image of a lesson."""
        output = drive(self.pipeline.network, lesson.start(), self.pipeline.clocks)
        return self.pipeline.adapter.loss(output, lesson.target)


class NextScale(GeneratorTask):
    """Predict each scale's tokens from the coarser ones."""

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean negative log-likelihood of one batch, nats a token."""
        adapter = self.pipeline.adapter
        assert isinstance(adapter, VARAdapter)
        flat = torch.from_numpy(self.data.tokens[self.rows(step)].astype(np.int64))
        tokens = flat.split([pn * pn for pn in adapter.config.patch_nums], dim=1)
        lesson = adapter.token_lesson(tokens, self.labels(step, self.drawn(step)))
        return {"loss": self.per_image(lesson).mean()}


class Denoising(GeneratorTask):
    """Predict the noise of noised latents.

    The squared error at timestep t is weighted by 1 / alpha_bar, which makes it the loss of
    velocity prediction (Salimans and Ho, arXiv 2202.00512), bounded by WEIGHT_LIMIT. Unweighted,
    the timesteps at which class and layout are decided carry less than a hundredth of the loss,
    and models this small never learn them.
    """

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean squared error of the noise over one batch, weighted and plain."""
        adapter, drawn = self.pipeline.adapter, self.drawn(step)
        assert isinstance(adapter, DiTAdapter)
        labels = self.labels(step, drawn)
        latents = torch.from_numpy(self.data.latents[self.rows(step)].astype(np.float32))
        times = adapter.diffusion.timesteps
        # Stratified timesteps, one from each of `batch` equal spans: less noise in the loss.
        spans = torch.arange(self.batch) + torch.rand(self.batch, generator=drawn)
        t = (spans * times / self.batch).long().clamp_max(times - 1)
        noise = torch.randn(latents.shape, generator=drawn)
        losses = self.per_image(adapter.noise_lesson(latents, labels, t, noise))
        weights = (1 / adapter.diffusion.signal()).clamp_max(WEIGHT_LIMIT).float()
        weighted = (weights[t] / weights.mean() * losses).mean()
        return {"loss": weighted, "denoising_loss": losses.mean().detach()}


TASKS: Mapping[str, Callable[[Pipeline, Encoded, int, int], Task]] = {
    "var": NextScale,
    "dit": Denoising,
}
"""Family to task, built from the pipeline, the images, the seed and the batch size."""


def block_matrices(module: nn.Module) -> list[nn.Parameter]:
    """The weights of the transformer blocks' linears, which Muon trains."""
    blocks = module.get_submodule("blocks")
    return [p for p in blocks.parameters() if p.ndim == 2]
