"""The tokenizers by kind: what a description needs to build the one that a pipeline had."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import nn

from bitscape.models.kl import KLConfig, KLTokenizer
from bitscape.models.maskgit import MaskGITConfig, MaskGITTokenizer
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.models.pixels import PixelConfig, PixelTokenizer
from bitscape.models.prompts import PromptConfig, PromptTokenizer
from bitscape.models.vq import VQConfig, VQTokenizer

TOKENIZERS: Mapping[str, tuple[type[Any], Callable[[Any], nn.Module]]] = {
    "multiscale": (MultiScaleConfig, MultiScaleTokenizer),
    "kl": (KLConfig, KLTokenizer),
    "maskgit": (MaskGITConfig, MaskGITTokenizer),
    "pixels": (PixelConfig, PixelTokenizer),
    "prompts": (PromptConfig, PromptTokenizer),
    "vq": (VQConfig, VQTokenizer),
}
"""Kind to (frozen dataclass of its configuration, constructor). A tokenizer keeps its `config`."""


def describe_tokenizer(tokenizer: Any) -> dict[str, Any]:
    """The kind and configuration of a tokenizer, as JSON values; ValueError for an unknown one."""
    for kind, (config, _) in TOKENIZERS.items():
        if isinstance(tokenizer.config, config):
            return {"kind": kind, **asdict(tokenizer.config)}
    raise ValueError(f"{type(tokenizer).__name__} is not in the registry of tokenizers")


def build_tokenizer(description: Mapping[str, Any]) -> nn.Module:
    """The tokenizer that `describe_tokenizer` described, with fresh weights."""
    rest = dict(description)
    kind = rest.pop("kind", None)
    if kind not in TOKENIZERS:
        raise ValueError(f"unknown tokenizer kind {kind!r}: one of {', '.join(TOKENIZERS)}")
    config, build = TOKENIZERS[kind]
    return build(from_json(config, rest))


def from_json(config: type, values: Mapping[str, Any]) -> Any:
    """A frozen configuration from JSON values (lists become tuples); ValueError if they misfit."""
    try:
        return TypeAdapter(config).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{config.__name__} cannot be read: {place}: {first['msg']}") from error
