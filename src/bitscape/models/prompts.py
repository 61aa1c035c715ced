"""The tokenizer of Stable Diffusion: its autoencoder, and CLIP's text encoder for the prompts.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv
2103.00020; Rombach et al., arXiv 2112.10752. transformers builds the encoder and splits the words.
"""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.autoencoder_keys import Naming
from bitscape.models.checkpoint import KeyMap, Source
from bitscape.models.kl import SD_VAE, KLConfig, KLTokenizer, kl_keys

Map = Float[Tensor, "batch _ _ _"]

TEXT_STAGE = "cond_stage_model.transformer."
_AUTOENCODER, _ENCODER = "vae.", "text_encoder."
_VOCABULARY = ("vocab.json", "merges.txt")


@dataclass(frozen=True)
class PromptConfig:
    """Sizes under transformers' names; `vocabulary` is a folder or a name in its cache.

    The released file of Stable Diffusion holds the encoder's weights but not its vocabulary, which
    is looked for in the cache unless `find_vocabulary` finds it elsewhere.
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

    rounded: bool | None = None

    def __init__(self, config: PromptConfig) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = config.vocabulary
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
        source, cause = self.vocabulary, None
        try:
            found = _transformers("CLIPTokenizer").from_pretrained(source, local_files_only=True)
            # transformers 5 makes one of the marks alone where it finds no vocabulary.
            if len(found) == self.config.vocab_size:
                return found
        except OSError as error:
            cause = error
        raise ValueError(
            f"the vocabulary {source!r} of {self.config.vocab_size} words is not here: put its "
            "vocab.json and merges.txt beside the weights, or fetch it into transformers' cache"
        ) from cause


def find_vocabulary(tokenizer: nn.Module, places: Iterable[Path]) -> None:
    """Let a tokenizer of prompts read its words from the first of `places` that holds them, if any.

    A place holds them itself or, as diffusers' folders do, in `tokenizer`.
    """
    if not isinstance(tokenizer, PromptTokenizer):
        return
    folders = [folder for place in places for folder in (place, place / "tokenizer")]
    found = next((folder for folder in folders if _holds_vocabulary(folder)), None)
    if found is not None:
        tokenizer.vocabulary = str(found)


def vocabulary_files(tokenizer: nn.Module) -> list[Path]:
    """The files of the words of `tokenizer`, where it reads them from a folder."""
    if not isinstance(tokenizer, PromptTokenizer):
        return []
    folder = Path(tokenizer.vocabulary)
    return [folder / name for name in _VOCABULARY] if _holds_vocabulary(folder) else []


def _holds_vocabulary(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _VOCABULARY)


def prompt_keys(naming: Naming, module: PromptTokenizer, prefix: str) -> KeyMap:
    """The key map of a `PromptTokenizer` whose autoencoder is named by `naming` under `prefix`."""
    return _keys(naming, module, prefix, TEXT_STAGE)


def pipeline_keys(naming: Naming, module: PromptTokenizer) -> KeyMap:
    """The key map of a `PromptTokenizer` in a folder of diffusers, part by part."""
    return _keys(naming, module, _AUTOENCODER, _ENCODER)


def not_of_prompts(key: str) -> bool:
    """Whether `key` of a folder of diffusers holds nothing of a `PromptTokenizer`."""
    theirs = key.startswith((_AUTOENCODER, _ENCODER))
    # Older releases of transformers stored the numbers of the positions.
    return not theirs or key.endswith(".position_ids")


def _keys(naming: Naming, module: PromptTokenizer, stage: str, encoder: str) -> KeyMap:
    first = kl_keys(naming, module.first_stage, stage)
    # transformers dropped the prefix `text_model.` in version 5; the released files have it.
    text = {
        f"text.{name}": Source((f"{encoder}text_model.{name.removeprefix('text_model.')}",))
        for name in module.text.state_dict()
    }
    return {**{f"first_stage.{name}": source for name, source in first.items()}, **text}


def _transformers(name: str) -> Any:
    try:
        return getattr(importlib.import_module("transformers"), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            "prompts are read by transformers: install it with pip install bitscape[diffusers]"
        ) from error
