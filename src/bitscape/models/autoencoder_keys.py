"""How released files name the parts of an autoencoder: one `Naming` a release, one key map for all.

Encoders and decoders descend from the code of "Taming Transformers", arXiv 2012.09841; releases
differ in names, in the order of the decoder's levels, and in how queries, keys and values are
stored (one convolution, three, or three linear layers).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bitscape.models.autoencoder import AutoencoderConfig
from bitscape.models.checkpoint import KeyMap, Source


@dataclass(frozen=True)
class Naming:
    """The names of one release.

    `down` and `up` hold the number of the level, finest first, `up` counting from the coarsest when
    `coarsest_first`; `residual` and `attention` the number of the block inside it. `parts` are the
    layers whose names differ from ours; `qkv` those whose rows make our fused projection, in order.
    """

    down: str
    up: str
    coarsest_first: bool
    residual: str
    attention: str
    downsample: str
    upsample: str
    middle: tuple[str, str, str]
    norm_out: str
    parts: Mapping[str, str]
    qkv: tuple[str, ...]


LDM = Naming(
    down="down.{}",
    up="up.{}",
    coarsest_first=False,
    residual="block.{}",
    attention="attn.{}",
    downsample="downsample.conv",
    upsample="upsample.conv",
    middle=("mid.block_1", "mid.attn_1", "mid.block_2"),
    norm_out="norm_out",
    parts={"shortcut": "nin_shortcut", "proj": "proj_out"},
    qkv=("q", "k", "v"),
)
"""Taming Transformers, latent diffusion, MAR's kl16.ckpt."""

LDM_FUSED = replace(LDM, qkv=("qkv",))
"""VAR's vae_ch160v4096z32.pth."""

DIFFUSERS = Naming(
    down="down_blocks.{}",
    up="up_blocks.{}",
    coarsest_first=True,
    residual="resnets.{}",
    attention="attentions.{}",
    downsample="downsamplers.0.conv",
    upsample="upsamplers.0.conv",
    middle=("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"),
    norm_out="conv_norm_out",
    parts={"shortcut": "conv_shortcut", "norm": "group_norm", "proj": "to_out.0"},
    qkv=("to_q", "to_k", "to_v"),
)
"""diffusers' AutoencoderKL and VQModel."""

DIFFUSERS_BEFORE_0_15 = replace(
    DIFFUSERS,
    parts={"shortcut": "conv_shortcut", "norm": "group_norm", "proj": "proj_attn"},
    qkv=("query", "key", "value"),
)
"""The same with the older names of attention, as in sd-vae-ft-ema and sd-vae-ft-mse."""


def autoencoder_keys(
    module: nn.Module, config: AutoencoderConfig, naming: Naming, prefix: str = ""
) -> KeyMap:
    """The key map of everything under `encoder.` and `decoder.` in `module`.

    `prefix` stands before every key of the file.
    """
    return {
        name: _source(name, config, naming, prefix)
        for name in module.state_dict()
        if name.startswith(("encoder.", "decoder."))
    }


def _source(name: str, config: AutoencoderConfig, naming: Naming, prefix: str) -> Source:
    side, *path, field = name.split(".")
    inside = _inside(side, path, config, naming)
    keys = tuple(f"{prefix}{side}.{layer}.{field}" for layer in inside)
    return Source(keys, _pointwise) if path[-1] in ("qkv", "proj") else Source(keys)


def _inside(
    side: str, path: list[str], config: AutoencoderConfig, naming: Naming
) -> tuple[str, ...]:
    """The layers of the release, under `side`, that hold ours."""
    match path:
        case ["norm_out"]:
            return (naming.norm_out,)
        case ["downsamples", level, "conv"]:
            return (f"{naming.down.format(level)}.{naming.downsample}",)
        case ["upsamples", level, "conv"]:
            return (f"{_up(int(level), config, naming)}.{naming.upsample}",)
        case ["middle", place, part]:
            return _parts(naming.middle[int(place)], part, naming)
        case ["levels", level, place, part]:
            down = side == "encoder"
            every = config.encoder_attends if down else config.decoder_attends
            attends = every[int(level)]
            block, attention = divmod(int(place), 2) if attends else (int(place), 0)
            kind = naming.attention if attention else naming.residual
            outer = naming.down.format(level) if down else _up(int(level), config, naming)
            return _parts(f"{outer}.{kind.format(block)}", part, naming)
    return (".".join(path),)


def _up(level: int, config: AutoencoderConfig, naming: Naming) -> str:
    last = len(config.multipliers) - 1
    return naming.up.format(level if naming.coarsest_first else last - level)


def _parts(layer: str, part: str, naming: Naming) -> tuple[str, ...]:
    names = naming.qkv if part == "qkv" else (naming.parts.get(part, part),)
    return tuple(f"{layer}.{name}" for name in names)


def _pointwise(*tensors: Tensor) -> Tensor:
    """Rows of linear layers or 1x1 convolutions, one below the other, as a 1x1 convolution."""
    rows = torch.cat(tensors)
    return rows[:, :, None, None] if rows.ndim == 2 else rows
