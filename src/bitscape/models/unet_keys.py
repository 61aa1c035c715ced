"""How released checkpoints name the parts of a U-Net: one `Naming` a release, one key map for all.

Latent diffusion numbers the layers of each half in one sequence and fuses queries, keys and values
head by head; the DDIM checkpoints keep levels apart and attend by 1x1 convolutions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from bitscape.models.checkpoint import KeyMap, Layout, Source
from bitscape.models.unet_graph import NETWORK, Part, parts
from bitscape.models.unet_kinds import PartKind
from bitscape.models.unet_network import UNet

CONTEXT = "cond_stage_model."


@dataclass(frozen=True)
class Naming:
    """The names of one release.

    `places(backbone)` gives the name of each part. `resnet`, `attention` and `downsample` rename
    the layers inside a part, `outside` those of no part; all else is named alike everywhere.
    """

    places: Callable[[Any], Mapping[str, str]]
    outside: Mapping[str, str] = field(default_factory=dict)
    resnet: Mapping[str, str] = field(default_factory=dict)
    attention: Mapping[str, str] = field(default_factory=dict)
    downsample: Mapping[str, str] = field(default_factory=dict)

    def inside(self, part: Part) -> Mapping[str, str]:
        """What the layers of `part` are called."""
        match part.kind:
            case PartKind.RESNET:
                return self.resnet
            case PartKind.ATTENTION:
                return self.attention
            case PartKind.DOWNSAMPLE:
                return self.downsample
            case _:
                return {}


def unet_keys(naming: Naming, module: nn.Module, prefix: str = "") -> KeyMap:
    """The key map of a `UNet` in a release that names its parts by `naming`."""
    assert isinstance(module, UNet)
    graph = {part.name: part for part in parts(module.backbone)}
    places = naming.places(module.backbone)
    keys: dict[str, Source] = {}
    for name in module.state_dict():
        if name == "class_embed.weight":
            keys[name] = Source((f"{CONTEXT}embedding.weight",))
            continue
        part = next((p for p in graph.values() if name.startswith(f"{p.name}.")), None)
        if part is None:
            layer, _, leaf = name.removeprefix(f"{NETWORK}.").rpartition(".")
            keys[name] = Source((f"{prefix}{naming.outside.get(layer, layer)}.{leaf}",))
        else:
            rest = name.removeprefix(f"{part.name}.")
            keys[name] = _inner(naming, part, f"{prefix}{places[part.name]}", rest)
    return keys


def _inner(naming: Naming, part: Part, place: str, rest: str) -> Source:
    """The source of one tensor of a part: its layer renamed, and taken apart where it is fused."""
    layer, _, leaf = rest.rpartition(".")
    renamed = naming.inside(part).get(layer, layer)
    key = ".".join(word for word in (place, renamed, leaf) if word)
    if part.kind is not PartKind.ATTENTION or layer == "group_norm":
        return Source((key,))
    if renamed == "qkv":
        third = ("to_q", "to_k", "to_v").index(layer)
        return Source((key,), partial(_third, heads=part.module.heads, third=third))
    return Source((key,), partial(_matrix, wide=leaf == "weight"))


def _matrix(tensor: Tensor, *, wide: bool) -> Tensor:
    """The matrix of a 1x1 convolution, or of a linear layer as it is."""
    return tensor.flatten(1) if wide else tensor


def _third(fused: Tensor, *, heads: int, third: int) -> Tensor:
    """Queries, keys or values out of rows that hold all three of the first head, then the next."""
    rows = fused.unflatten(0, (heads, 3, -1))[:, third].flatten(0, 1)
    return rows.flatten(1) if rows.ndim > 1 else rows


def _numbered(backbone: Any) -> dict[str, str]:
    """Latent diffusion: each half is one sequence of layers, a layer a sequence of parts."""
    places: dict[str, str] = {}
    layers = {"input": -1, "output": -1}
    position = 0
    for part in parts(backbone):
        words = part.name.removeprefix(f"{NETWORK}.").split(".")
        if words[0] == "mid_block":
            middle = 1 if words[1] == "attentions" else 2 * int(words[2])
            places[part.name] = f"middle_block.{middle}"
            continue
        half = "output" if words[0] == "up_blocks" else "input"
        begins = words[0] == "conv_in" or words[2] in ("resnets", "downsamplers")
        layers[half] += begins
        position = 0 if begins else position + 1
        places[part.name] = f"{half}_blocks.{layers[half]}.{position}"
    return places


def _levelled(backbone: Any) -> dict[str, str]:
    """DDIM: levels, finest first in both halves."""
    places: dict[str, str] = {}
    finest = len(backbone.up_blocks) - 1
    kinds = {"resnets": "block.{}", "attentions": "attn.{}"}
    kinds |= {"downsamplers": "downsample", "upsamplers": "upsample"}
    for part in parts(backbone):
        match part.name.removeprefix(f"{NETWORK}.").split("."):
            case ["mid_block", kind, number]:
                places[part.name] = f"mid.{kinds[kind].format(int(number) + 1).replace('.', '_')}"
            case [half, level, kind, number]:
                down = half == "down_blocks"
                place = level if down else finest - int(level)
                name = kinds[kind].format(number)
                places[part.name] = f"{'down' if down else 'up'}.{place}.{name}"
            case [outer]:
                places[part.name] = outer
    return places


def _same(backbone: Any) -> dict[str, str]:
    return {part.name: part.name.removeprefix(f"{NETWORK}.") for part in parts(backbone)}


LDM = Naming(
    _numbered,
    outside={
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "class_embedding": "label_emb",
    },
    resnet={
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    },
    attention={
        "group_norm": "norm",
        **dict.fromkeys(("to_q", "to_k", "to_v"), "qkv"),
        "to_out.0": "proj_out",
    },
    downsample={"conv": "op"},
)
"""Latent diffusion and Stable Diffusion."""

DDIM = Naming(
    _levelled,
    outside={
        "time_embedding.linear_1": "temb.dense.0",
        "time_embedding.linear_2": "temb.dense.1",
        "conv_norm_out": "norm_out",
    },
    resnet={"time_emb_proj": "temb_proj", "conv_shortcut": "nin_shortcut"},
    attention={
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
    },
)
"""pytorch_diffusion's conversions of the original DDPM, which DDIM samples from."""

DIFFUSERS = Naming(_same)

DIFFUSERS_BEFORE_0_15 = Naming(
    _same, attention={"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
)

MODEL = "model.diffusion_model."


def _averaged(module: nn.Module) -> KeyMap:
    """Latent diffusion's running averages of its weights: names without their dots."""
    plain = unet_keys(LDM, module, MODEL)
    return {
        name: Source(tuple(map(_average, source.keys)), source.join)
        for name, source in plain.items()
    }


def _average(key: str) -> str:
    if not key.startswith(MODEL):
        return key
    return f"model_ema.{key.removeprefix('model.').replace('.', '')}"


UNET_LAYOUTS = (
    Layout(
        "latent diffusion, averaged weights",
        _averaged,
        ("state_dict",),
        ignored=lambda key: (
            not key.startswith(("model_ema.diffusion_model", f"{CONTEXT}embedding."))
        ),
    ),
    Layout(
        "latent diffusion",
        partial(unet_keys, LDM, prefix=MODEL),
        ("state_dict",),
        ignored=lambda key: not key.startswith((MODEL, f"{CONTEXT}embedding.")),
    ),
    Layout("pytorch_diffusion", partial(unet_keys, DDIM)),
    Layout("diffusers", partial(unet_keys, DIFFUSERS), ("unet",)),
    Layout("diffusers before 0.15", partial(unet_keys, DIFFUSERS_BEFORE_0_15), ("unet",)),
)
"""The ways in which U-Nets are published."""
