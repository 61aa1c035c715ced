"""What a model family is: its sizes and how a pipeline is put together from a configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bitscape.models.checkpoint import Layout
from bitscape.structure import Adapter, Pipeline, StepClock, Style


@dataclass(frozen=True)
class Family:
    """One model family: `sizes` as released, `tiny` for tests, and how to assemble a pipeline.

    `network(config)` has fresh random weights; `tokenizer(config)` is the matching tokenizer, also
    fresh; `adapter(config, tokenizer)` speaks for both. `sampler` holds default options, `samplers`
    those of single sizes. `nets` are the sub-networks that calls name, each with its own clock.
    `layouts` and `tokenizer_layouts` are the ways in which weights are published. `extra` is the
    optional dependency without which no network of the family can be built; `parameters` then says
    how many each size has.
    """

    name: str
    style: Style
    sizes: Mapping[str, Any]
    tiny_config: Any
    tiny_tokenizer: Callable[[Any], nn.Module]
    config: type
    network: Callable[[Any], nn.Module]
    adapter: Callable[[Any, Any], Adapter]
    tokenizer: Callable[[Any], nn.Module]
    sampler: Mapping[str, Any]
    samplers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nets: tuple[str, ...] = ("",)
    layouts: tuple[Layout, ...] = ()
    tokenizer_layouts: tuple[Layout, ...] = ()
    extra: str = ""
    parameters: Mapping[str, int] = field(default_factory=dict)

    def pipeline(
        self, name: str, size: str, config: Any, tokenizer: nn.Module | None = None
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
            clocks={net: StepClock() for net in self.nets},
            sampler={**self.sampler, **self.samplers.get(size, {})},
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
            config = self.tiny_config
            result = self.pipeline(f"{self.name}-tiny", "tiny", config, self.tiny_tokenizer(config))
            for parameter in result.network.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=0.5 * parameter[0].numel() ** -0.5)
                else:
                    nn.init.normal_(parameter, std=0.1)
        return result
