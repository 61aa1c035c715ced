"""Two toy families, one discrete and one continuous, and a protocol over a toy data set."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bitscape.evaluation import EvaluationProtocol
from bitscape.structure import Call, Lesson, Pipeline, StepClock, constant_step

CLASSES, CODES, TOKENS, CHANNELS, SIDE = 3, 6, 4, 2, 12


class ToyTokenizer(nn.Module):
    """Codes as points of the latent plane; a latent cell becomes a square of one colour."""

    def __init__(self) -> None:
        super().__init__()
        angle = torch.arange(CODES) * 2 * torch.pi / CODES
        self.register_buffer("codes", torch.stack([angle.cos(), angle.sin()], dim=1))

    def latents(self, images: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(images, 2)[:, :CHANNELS]

    def tokens(self, images: Tensor) -> Tensor:
        rows = self.latents(images).flatten(2).transpose(1, 2)
        return torch.cdist(rows, self.codes).argmin(-1)

    def pixels(self, latents: Tensor) -> Tensor:
        blue = latents.mean(1, keepdim=True)
        images = functional.interpolate(torch.cat([latents, blue], dim=1), size=(SIDE, SIDE))
        return ((images.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).permute(0, 2, 3, 1)


class Markov(nn.Module):
    """Next-code logits from the previous code; the first input is the class."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(CODES + CLASSES, CODES)

    def forward(self, previous: Tensor) -> Tensor:
        return self.table(previous)


class DiscreteAdapter:
    family, style, loss_name = "toy-markov", "autoregressive", "nll"
    steps, discrete, num_classes, config = {"": TOKENS}, True, CLASSES, None

    def sites(self, network):
        return []

    def folds(self, network):
        return []

    def blocks(self, network):
        return []

    def trajectory(self, network, conditions, randomness, *, temperature=1.0):
        tokens = [conditions[:, None] + CODES]
        for step in range(TOKENS):
            logits = yield Call("", constant_step(step), (tokens[-1],))
            noise = randomness.gumbel(1, CODES)
            tokens.append((logits / temperature + noise).argmax(-1))
        chosen = torch.cat(tokens[1:], dim=1)
        codes = torch.stack([torch.arange(CODES).cos(), torch.arange(CODES).sin()], dim=1)
        return codes[chosen].transpose(1, 2).unflatten(2, (2, 2))

    def replay(self, calls: Sequence[Call]):
        previous = torch.cat([call.args[0] for call in calls], dim=1)
        return [Call("", torch.arange(TOKENS)[None], (previous,))]

    def encode(self, tokenizer, images):
        return tokenizer.tokens(images)

    def lesson(self, tokens, labels, randomness):
        previous = torch.cat([labels[:, None] + CODES, tokens[:, :-1]], dim=1)
        return Lesson.of_call(Call("", torch.arange(TOKENS)[None], (previous,)), tokens)

    def without_labels(self, labels, drawn):
        return labels

    def loss(self, output, target):
        return functional.cross_entropy(output.transpose(1, 2), target, reduction="none").mean(1)

    def decode(self, tokenizer, latents):
        return tokenizer.pixels(latents)


class Denoiser(nn.Module):
    """A linear map of the channels, with the class as bias."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.shift = nn.Embedding(CLASSES, CHANNELS)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.mix(z) + self.shift(labels)[:, :, None, None]


class ContinuousAdapter(DiscreteAdapter):
    family, style, loss_name = "toy-denoiser", "diffusion", "denoising_loss"
    steps, discrete = {"": 2}, False

    def trajectory(self, network, conditions, randomness, *, strength=0.5):
        z = randomness.normal(CHANNELS, 2, 2)
        for step in range(self.steps[""]):
            z = z - strength * (yield Call("", constant_step(step), (z, conditions)))
        return z

    def replay(self, calls):
        return list(calls)

    def encode(self, tokenizer, images):
        return tokenizer.latents(images)

    def lesson(self, latents, labels, randomness):
        noise = randomness.normal(CHANNELS, 2, 2)
        z = latents + noise
        return Lesson.of_call(Call("", constant_step(0), (z, labels)), noise)

    def loss(self, output, target):
        return (output - target).square().mean(dim=(1, 2, 3))


class ToyExtractor(nn.Module):
    """Random projections of the pixels as features, their first three as class scores."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.register_buffer("project", torch.randn(SIDE * SIDE * 3, 5, generator=generator))

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1).float() / 255 @ self.project

    def logits(self, features: Tensor) -> Tensor:
        return features[:, :CLASSES]


def draw(indices: range) -> tuple[Tensor, Tensor]:
    images = [np.random.default_rng((5, i)).uniform(-1, 1, (3, 2, 2)) for i in indices]
    coarse = torch.as_tensor(np.stack(images), dtype=torch.float32)
    return functional.interpolate(coarse, size=(SIDE, SIDE)), torch.as_tensor(indices) % CLASSES


def toy(network: nn.Module, adapter: DiscreteAdapter, name: str, noise: float) -> Pipeline:
    generator = torch.Generator().manual_seed(1)
    disturbance = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
        parameter.data += noise * torch.randn(parameter.shape, generator=disturbance)
    return Pipeline(
        name, adapter.family, "tiny", network, ToyTokenizer(), adapter, {"": StepClock()}
    )


@pytest.fixture
def discrete() -> Callable[..., Pipeline]:
    """The discrete toy, its weights disturbed by `noise`."""
    return lambda noise=0.0: toy(Markov(), DiscreteAdapter(), f"markov+{noise}", noise)


@pytest.fixture
def continuous() -> Callable[..., Pipeline]:
    """The continuous toy, its weights disturbed by `noise`."""
    return lambda noise=0.0: toy(Denoiser(), ContinuousAdapter(), f"denoiser+{noise}", noise)


@pytest.fixture(params=["discrete", "continuous"])
def family(request: pytest.FixtureRequest) -> Callable[..., Pipeline]:
    """Either toy."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def protocol() -> EvaluationProtocol:
    """The toy data set seen by the toy extractor."""
    return EvaluationProtocol(
        name="toy",
        extractor=ToyExtractor(),
        draw=draw,
        encode=lambda pipeline, images: pipeline.tokenizer.latents(images),
        num_classes=CLASSES,
        real=60,
    )
