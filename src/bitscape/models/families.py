"""The families, their released sizes and how a pipeline is put together from a configuration."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.diffusion import Diffusion
from bitscape.models.dit import DiT, DiTAdapter, DiTConfig
from bitscape.models.multiscale import MultiScaleTokenizer
from bitscape.models.var import VAR, VARAdapter, VARConfig
from bitscape.structure import Adapter, Pipeline, StepClock, Style

Config = VARConfig | DiTConfig


@dataclass(frozen=True)
class Family:
    """One model family: `sizes` as released, `tiny` for tests, and how to assemble a pipeline.

    `network(config)` has fresh random weights; `adapter(config, tokenizer)` speaks for it;
    `tokenizer(config)` is the matching tokenizer, also fresh. `sampler` holds default options.
    """

    name: str
    style: Style
    sizes: Mapping[str, Any]
    tiny_config: Any
    config: type
    network: Callable[[Any], nn.Module]
    adapter: Callable[[Any, Any], Adapter]
    tokenizer: Callable[[Any], nn.Module]
    sampler: Mapping[str, Any]

    def pipeline(
        self, name: str, size: str, config: Config, tokenizer: nn.Module | None = None
    ) -> Pipeline:
        """An untrained pipeline of `config`, with a fresh tokenizer unless one is given."""
        tokenizer = self.tokenizer(config) if tokenizer is None else tokenizer
        return Pipeline(
            name=name,
            family=self.name,
            size=size,
            network=self.network(config).eval(),
            tokenizer=tokenizer.eval(),
            adapter=self.adapter(config, tokenizer),
            clocks={"": StepClock()},
            sampler=dict(self.sampler),
        )

    def build(self, size: str, seed: int = 0) -> Pipeline:
        """A released size with random weights drawn from `seed`; ValueError for an unknown size."""
        if size not in self.sizes:
            raise ValueError(
                f"unknown size {size!r} of {self.name}: one of {', '.join(self.sizes)}"
            )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.pipeline(f"{self.name}-{size}", size, self.sizes[size])

    def tiny(self, seed: int = 0) -> Pipeline:
        """A pipeline small enough for tests, with random weights in every layer.

        Zero-initialised layers are randomised too, or most of the network would compute nothing.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            result = self.pipeline(f"{self.name}-tiny", "tiny", self.tiny_config)
            for parameter in result.network.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=0.5 * parameter[0].numel() ** -0.5)
                else:
                    nn.init.normal_(parameter, std=0.1)
        return result


def _var_tokenizer(config: VARConfig) -> MultiScaleTokenizer:
    return MultiScaleTokenizer(_autoencoder(config), config.vocabulary, config.patch_nums)


def _dit_tokenizer(config: DiTConfig) -> MultiScaleTokenizer:
    # Only the continuous path of this tokenizer is used, so its one code is never looked up.
    return MultiScaleTokenizer(_autoencoder(config), 1, (config.side,))


def _autoencoder(config: Config) -> AutoencoderConfig:
    if config is TINY_VAR or config is TINY_DIT:
        return AutoencoderConfig(8, (1, 2, 2), 1, config.latent_channels, 4)
    if isinstance(config, DiTConfig):
        return AutoencoderConfig(128, (1, 2, 4, 4), 2, config.latent_channels)
    return AutoencoderConfig(160, (1, 1, 2, 2, 4), 2, config.latent_channels)


TINY_VAR = VARConfig(
    16, 2, 2, num_classes=10, vocabulary=32, latent_channels=8, patch_nums=(1, 2, 4)
)
TINY_DIT = DiTConfig(
    16, 2, 2, num_classes=10, side=4, latent_channels=8, patch=1, learn_sigma=False, frequencies=32
)

VAR_FAMILY = Family(
    name="var",
    style="autoregressive",
    sizes={f"d{depth}": VARConfig(64 * depth, depth, depth) for depth in (16, 20, 24, 30)},
    tiny_config=TINY_VAR,
    config=VARConfig,
    network=VAR,
    adapter=VARAdapter,
    tokenizer=_var_tokenizer,
    sampler={"guidance": 1.5, "top_k": 900, "top_p": 0.96},
)

DIT_FAMILY = Family(
    name="dit",
    style="diffusion",
    sizes={
        "S-2": DiTConfig(384, 12, 6),
        "B-2": DiTConfig(768, 12, 12),
        "L-2": DiTConfig(1024, 24, 16),
        "XL-2": DiTConfig(1152, 28, 16),
    },
    tiny_config=TINY_DIT,
    config=DiTConfig,
    network=DiT,
    adapter=lambda config, _: DiTAdapter(config, steps=20, diffusion=Diffusion()),
    tokenizer=_dit_tokenizer,
    sampler={"guidance": 1.5},
)

FAMILIES: Mapping[str, Family] = {"var": VAR_FAMILY, "dit": DIT_FAMILY}


def describe(pipeline: Pipeline) -> dict[str, Any]:
    """Everything but the weights, as JSON values; `assemble` builds the same pipeline from it."""
    tokenizer = pipeline.tokenizer
    assert isinstance(tokenizer, MultiScaleTokenizer)
    return {
        "name": pipeline.name,
        "family": pipeline.family,
        "size": pipeline.size,
        "network": asdict(pipeline.adapter.config),
        "tokenizer": {
            "autoencoder": asdict(tokenizer.config),
            "vocabulary": tokenizer.quantizer.embedding.num_embeddings,
            "patch_nums": list(tokenizer.quantizer.patch_nums),
        },
        "sampler": pipeline.sampler,
    }


def assemble(description: Mapping[str, Any]) -> Pipeline:
    """The pipeline that `describe` described, with fresh weights; ValueError if it cannot be."""
    name = str(description.get("family"))
    if name not in FAMILIES:
        raise ValueError(f"unknown model family {name!r}: one of {', '.join(FAMILIES)}")
    family, tokenizer = FAMILIES[name], description["tokenizer"]
    result = family.pipeline(
        description["name"],
        description["size"],
        family.config(**_tuples(description["network"])),
        MultiScaleTokenizer(
            AutoencoderConfig(**_tuples(tokenizer["autoencoder"])),
            tokenizer["vocabulary"],
            tokenizer["patch_nums"],
        ),
    )
    result.sampler = dict(description["sampler"])
    return result


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON lists as the tuples that frozen configurations hold."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
