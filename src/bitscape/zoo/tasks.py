"""What each family of the zoo is trained to do on the encoded images."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bitscape.models import DiTAdapter, LlamaGenAdapter, MARAdapter, UNetAdapter, VARAdapter
from bitscape.structure import Lesson, Pipeline, drive
from bitscape.training import Task
from bitscape.zoo.encoded import Encoded

WEIGHT_LIMIT = 100.0
DRAWS = 4


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
        result = torch.from_numpy(self.data.labels[self.rows(step)].astype(np.int64))
        drawn = torch.rand(len(result), generator=generator)
        return self.pipeline.adapter.without_labels(result, drawn)

    def output(self, lesson: Lesson) -> Tensor:
        """What the network answers to a lesson."""
        return drive(self.pipeline.network, lesson.start(), self.pipeline.clocks)

    def per_image(self, lesson: Lesson) -> Tensor:
        """The family's loss on each image of a lesson."""
        return self.pipeline.adapter.loss(self.output(lesson), lesson.target)


class NextScale(GeneratorTask):
    """Predict each scale's tokens from the coarser ones."""

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean negative log-likelihood of one batch, nats a token."""
        adapter = self.pipeline.adapter
        assert isinstance(adapter, VARAdapter)
        tokens = torch.from_numpy(self.data.tokens[self.rows(step)].astype(np.int64))
        lesson = adapter.token_lesson(tokens, self.labels(step, self.drawn(step)))
        return {"loss": self.per_image(lesson).mean()}


class NextToken(GeneratorTask):
    """Predict each raster token from those before it."""

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean negative log-likelihood of one batch, nats a token."""
        adapter, raster = self.pipeline.adapter, self.data.raster
        assert isinstance(adapter, LlamaGenAdapter)
        if raster is None:
            raise FileNotFoundError("no raster tokens of the images: train the stage raster")
        tokens = torch.from_numpy(raster[self.rows(step)].astype(np.int64))
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
        assert isinstance(adapter, DiTAdapter | UNetAdapter)
        labels = self.labels(step, drawn)
        latents = torch.from_numpy(self.data.latents[self.rows(step)].astype(np.float32))
        times = adapter.diffusion.timesteps
        t = stratified(self.batch, times, drawn)
        noise = torch.randn(latents.shape, generator=drawn)
        losses = self.per_image(adapter.noise_lesson(latents, labels, t, noise))
        weighted = (velocity_weights(adapter.diffusion.signal())[t] * losses).mean()
        return {"loss": weighted, "denoising_loss": losses.mean().detach()}


class MaskedDenoising(GeneratorTask):
    """Predict the noise of the masked tokens' latents, weighted as `Denoising` is.

    The share of masked tokens is the paper's, one a batch: 1 - 0.25 |normal|, no less than 0.7.
    Each masked token meets DRAWS timesteps, as in the paper: the head is cheap beside the backbone.
    """

    def losses(self, step: int) -> dict[str, Tensor]:
        """Mean squared error of the noise over one batch, weighted and plain."""
        adapter, drawn = self.pipeline.adapter, self.drawn(step)
        assert isinstance(adapter, MARAdapter)
        labels = self.labels(step, drawn)
        latents = torch.from_numpy(self.data.latents[self.rows(step)].astype(np.float32))
        length = adapter.config.length
        masked = math.ceil(length * _masked_share(drawn))
        order = torch.rand(self.batch, length, generator=drawn).argsort(dim=1)
        count = self.batch * DRAWS * masked
        t = stratified(count, adapter.diffusion.timesteps, drawn)
        # Neighbouring spans would otherwise fall to the same image.
        t = t[torch.randperm(count, generator=drawn)].view(self.batch, -1)
        noise = torch.randn(*t.shape, latents.shape[1], generator=drawn)
        lesson = adapter.masked_lesson(latents, labels, order, masked, t, noise)
        predicted = self.output(lesson)[..., : noise.shape[2]]
        errors = (predicted - noise).square().mean(dim=2)
        weighted = (velocity_weights(adapter.diffusion.signal())[t] * errors).mean()
        return {"loss": weighted, "denoising_loss": errors.mean().detach()}


def stratified(count: int, timesteps: int, drawn: torch.Generator) -> Tensor:
    """`count` timesteps, ascending, one from each of as many equal spans: less noise in a loss."""
    spans = torch.arange(count) + torch.rand(count, generator=drawn)
    return (spans * timesteps / count).long().clamp_max(timesteps - 1)


def velocity_weights(signal: Tensor) -> Tensor:
    """1 / alpha_bar for each timestep, bounded by WEIGHT_LIMIT, with mean one."""
    weights = (1 / signal).clamp_max(WEIGHT_LIMIT).float()
    return weights / weights.mean()


def _masked_share(drawn: torch.Generator) -> float:
    """1 - |z| / 4 with z normal, cut off at 0.7, by inversion of the error function."""
    within = math.erf(0.3 / 0.25 / math.sqrt(2))
    uniform = torch.rand(1, generator=drawn, dtype=torch.float64)
    return 1 - 0.25 * math.sqrt(2) * float(torch.erfinv(uniform * within))


TASKS: Mapping[str, Callable[[Pipeline, Encoded, int, int], Task]] = {
    "var": NextScale,
    "dit": Denoising,
    "unet": Denoising,
    "mar": MaskedDenoising,
    "llamagen": NextToken,
}
"""Family to task, built from the pipeline, the images, the seed and the batch size."""


def block_matrices(pipeline: Pipeline) -> list[nn.Parameter]:
    """The weights of the blocks' linears and convolutions, which Muon trains."""
    network = pipeline.network
    blocks = [network.get_submodule(block.name) for block in pipeline.adapter.blocks(network)]
    return [p for block in blocks for p in block.parameters() if p.ndim in (2, 4)]
