"""What the parts of a diffusers U-Net are, by their classes."""

import importlib
from enum import Enum
from typing import Any

from torch import nn


class PartKind(Enum):
    """What a part computes, by the class of diffusers that it is of; its value says where that is.

    A resampler may be a residual block, and is of that kind then.
    """

    OUTER = None
    RESNET = ("diffusers.models.resnet", "ResnetBlock2D")
    ATTENTION = ("diffusers.models.attention_processor", "Attention")
    TRANSFORMER = ("diffusers", "Transformer2DModel")
    DOWNSAMPLE = ("diffusers.models.downsampling", "Downsample2D")
    UPSAMPLE = ("diffusers.models.upsampling", "Upsample2D")


def kind_of(module: nn.Module) -> PartKind:
    """The kind of a block of a U-Net; ValueError for one of no known class."""
    for kind in PartKind:
        if kind.value is not None and isinstance(module, _class(*kind.value)):
            return kind
    raise ValueError(
        f"{type(module).__name__} is no known part of a U-Net: residual blocks, attentions, "
        "transformers and resamplers of diffusers are"
    )


def _class(package: str, name: str) -> Any:
    # Only networks that diffusers has built come here, so that it is installed.
    return getattr(importlib.import_module(package), name)
