"""The tokenizer of Stable Diffusion: its autoencoder, and CLIP's text encoder for the prompts.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv
2103.00020; Rombach et al., arXiv 2112.10752. transformers builds the encoder and splits the words.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.autoencoder_keys import Naming
from bitscape.models.checkpoint import KeyMap, Source
from bitscape.models.kl import SD_VAE, KLConfig, KLTokenizer, kl_keys

Map = Float[Tensor, "batch _ _ _"]

TEXT_STAGE = "cond_stage_model.transformer."


@dataclass(frozen=True)
class PromptConfig:
    """Sizes under transformers' names; `vocabulary` is a folder or a name in its cache.

    The released file of Stable Diffusion holds the encoder's weights but not its vocabulary.
    """

    first_stage: KLConfig = SD_VAE
    vocabulary: str = "openai/clip-vit-large-patch14"
    vocab_size: int = 49408
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 77


class PromptTokenizer(nn.Module):
    """Images to latents and back, prompts to what the U-Net attends to."""

    def __init__(self, config: PromptConfig) -> None:
        super().__init__()
        self.config = config
        self.first_stage = KLTokenizer(config.first_stage)
        self.text = _transformers("CLIPTextModel")(
            _transformers("CLIPTextConfig")(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                max_position_embeddings=config.max_position_embeddings,
                # CLIP's vocabulary ends with the marks of where a text starts and ends.
                bos_token_id=config.vocab_size - 2,
                eos_token_id=config.vocab_size - 1,
            )
        )

    def latents(self, images: Map) -> Map:
        """The scaled mean of the posterior."""
        return self.first_stage.latents(images)

    def from_latents(self, latents: Map) -> Map:
        """Images in about [-1, 1] from scaled latents."""
        return self.first_stage.from_latents(latents)

    def read(self, prompts: Sequence[str]) -> Int[Tensor, "batch token"]:
        """The words of each prompt as numbers, cut off or padded to the encoder's length."""
        words = self._words(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self.config.max_position_embeddings,
        )
        return torch.tensor(words["input_ids"])

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token channel"]:
        """The encoder's last hidden states, normalised."""
        device = next(self.text.parameters()).device
        states: Tensor = self.text(tokens.to(device)).last_hidden_state
        return states

    @cached_property
    def _words(self) -> Any:
        source = self.config.vocabulary
        try:
            return _transformers("CLIPTokenizer").from_pretrained(source, local_files_only=True)
        except OSError as error:
            raise ValueError(
                f"the vocabulary {source!r} is not here: put its vocab.json and merges.txt into a "
                "folder and name it in the tokenizer's configuration, or fetch it into the cache"
            ) from error


def prompt_keys(naming: Naming, module: PromptTokenizer, prefix: str) -> KeyMap:
    """The key map of a `PromptTokenizer` whose autoencoder is named by `naming` under `prefix`."""
    stage = kl_keys(naming, module.first_stage, prefix)
    # transformers dropped the prefix `text_model.` in version 5; the released files have it.
    text = {
        f"text.{name}": Source((f"{TEXT_STAGE}text_model.{name.removeprefix('text_model.')}",))
        for name in module.text.state_dict()
    }
    return {**{f"first_stage.{name}": source for name, source in stage.items()}, **text}


def _transformers(name: str) -> Any:
    try:
        return getattr(importlib.import_module("transformers"), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            "prompts are read by transformers: install it with pip install bitscape[diffusers]"
        ) from error
