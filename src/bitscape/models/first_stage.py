"""The autoencoders of latent diffusion, and how its files name them.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752,
appendix G. LDM-4 works on the latents of a VQ-regularised one before they are quantized; the
decoder moves each to its nearest code first. LDM-8 and Stable Diffusion use a KL-regularised one.
"""

from functools import partial

import torch
from torch import Tensor, nn

from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.autoencoder_keys import (
    DIFFUSERS,
    DIFFUSERS_BEFORE_0_15,
    LDM,
    Naming,
    autoencoder_keys,
)
from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.kl import FIRST_STAGE, SD_VAE, KLConfig, KLTokenizer, kl_keys
from bitscape.models.pixels import PixelTokenizer
from bitscape.models.prompts import PromptTokenizer, not_of_prompts, pipeline_keys, prompt_keys
from bitscape.models.vq import VQConfig, VQTokenizer

VQ_F4 = VQConfig(
    AutoencoderConfig(128, (1, 2, 4), 2, latent_channels=3, attention=()),
    vocabulary=8192,
    channels=3,
    normalise=False,
)
"""That of LDM-4: f = 4, three channels, attention in the middle alone."""

KL_F8 = KLConfig(SD_VAE.autoencoder)
"""That of LDM-8: as Stable Diffusion's, but its file brings a scale of its own."""

SCALE = "scale_factor"


def first_stage_keys(naming: Naming, module: nn.Module, prefix: str = "") -> KeyMap:
    """The key map of a tokenizer of latent diffusion in a release that names it by `naming`.

    A KL-regularised autoencoder without a scale takes that of the whole file it stands in.
    """
    if isinstance(module, PixelTokenizer):
        return {}
    if isinstance(module, PromptTokenizer):
        return prompt_keys(naming, module, prefix)
    if not isinstance(module, VQTokenizer):
        keys = kl_keys(naming, module, prefix)
        assert isinstance(module, KLTokenizer)
        return _standardised(keys) if prefix and module.config.scale == 1 else keys
    named = autoencoder_keys(module, module.config.autoencoder, naming, prefix)
    convs = [name for name in module.state_dict() if name.startswith(("quant_", "post_quant_"))]
    rest = {**{name: name for name in convs}, "embedding.weight": "quantize.embedding.weight"}
    return {**named, **{name: Source((prefix + key,)) for name, key in rest.items()}}


def folder_keys(naming: Naming, module: nn.Module) -> KeyMap:
    """The key map of a tokenizer in a whole folder of diffusers.

    One of prompts lies there in two parts; any other is in the part of its own name.
    """
    if isinstance(module, PromptTokenizer):
        return pipeline_keys(naming, module)
    return first_stage_keys(naming, module)


def _standardised(keys: KeyMap) -> KeyMap:
    """`keys` with the file's scale, one over the deviation of its latents.

    It goes into the 1x1 convolutions on either side of the latent: the means come out scaled, their
    log variances moved by twice its logarithm.
    """
    joins = {
        "quant_conv.weight": _scaled_weight,
        "quant_conv.bias": _scaled_bias,
        "post_quant_conv.weight": _unscaled_weight,
    }
    scaled = {name: Source((*keys[name].keys, SCALE), join) for name, join in joins.items()}
    return {**keys, **scaled}


def _scaled_weight(weight: Tensor, scale: Tensor) -> Tensor:
    means, log_variances = weight.chunk(2)
    return torch.cat([means * scale, log_variances])


def _unscaled_weight(weight: Tensor, scale: Tensor) -> Tensor:
    return weight / scale


def _scaled_bias(bias: Tensor, scale: Tensor) -> Tensor:
    means, log_variances = bias.chunk(2)
    return torch.cat([means * scale, log_variances + 2 * scale.log()])


def _is_loss(key: str) -> bool:
    return key.removeprefix(FIRST_STAGE).startswith("loss.")


FIRST_STAGE_LAYOUTS = (
    Layout(
        "latent diffusion",
        partial(first_stage_keys, LDM, prefix=FIRST_STAGE),
        ("state_dict",),
        ignored=lambda key: not key.startswith(FIRST_STAGE) or _is_loss(key),
    ),
    Layout(
        "latent diffusion first stage",
        partial(first_stage_keys, LDM),
        ("state_dict",),
        ignored=_is_loss,
    ),
    Layout("diffusers", partial(first_stage_keys, DIFFUSERS), ("vae", "vqvae")),
    Layout(
        "diffusers before 0.15",
        partial(first_stage_keys, DIFFUSERS_BEFORE_0_15),
        ("vae", "vqvae"),
    ),
    Layout(
        "diffusers folder", partial(folder_keys, DIFFUSERS), ("pipeline",), ignored=not_of_prompts
    ),
    Layout(
        "diffusers folder before 0.15",
        partial(folder_keys, DIFFUSERS_BEFORE_0_15),
        ("pipeline",),
        ignored=not_of_prompts,
    ),
)
"""The ways in which the autoencoders of latent diffusion are published."""
