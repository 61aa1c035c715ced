"""How the parts of a diffusers U-Net hang together: blocks with their skips, sites, folds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.models.layers import AFFINE, no_push
from bitscape.models.unet_kinds import PartKind, kind_of
from bitscape.structure import Absorb, Block, Fold, Kind, Role, Site

NETWORK = "backbone"
"""The name under which a `UNet` holds what diffusers built."""


@dataclass(frozen=True)
class Part:
    """One block: its module, the parts it reads (the stream, then a skip) and what it gives.

    Two inputs are concatenated along the channels; `widths` are theirs, `width` is the output's.
    """

    name: str
    kind: PartKind
    module: Any
    inputs: tuple[str, ...]
    widths: tuple[int, ...]
    width: int

    @property
    def splits(self) -> tuple[int, ...]:
        """The widths of a concatenated input; empty for a single one."""
        return self.widths if len(self.widths) > 1 else ()


def parts(backbone: Any) -> list[Part]:
    """The blocks of `backbone` in execution order: residual blocks, attentions, resamplers."""
    width = backbone.config.block_out_channels[0]
    conv_in = Part(f"{NETWORK}.conv_in", PartKind.OUTER, backbone.conv_in, (), (), width)
    found, skips = [conv_in], [conv_in]
    for i, level in enumerate(backbone.down_blocks):
        for layer in _layers(level):
            for place in layer:
                found.append(_part(f"down_blocks.{i}", place, found[-1]))
            skips.append(found[-1])
    middle = backbone.mid_block
    places = [Place("resnets", 0, middle.resnets[0])]
    for i, attention in enumerate(middle.attentions):
        places.append(Place("attentions", i, attention))
        places.append(Place("resnets", i + 1, middle.resnets[i + 1]))
    for place in places:
        found.append(_part("mid_block", place, found[-1]))
    for i, level in enumerate(backbone.up_blocks):
        for layer in _layers(level):
            for place in layer:
                # An upsampler that is a residual block reads none.
                skip = (skips.pop(),) if place.members == "resnets" else ()
                found.append(_part(f"up_blocks.{i}", place, found[-1], *skip))
    return found


@dataclass(frozen=True)
class Place:
    """A part by its place in a level: which list of members it is in, and where in it."""

    members: str
    number: int
    module: Any


def _part(level: str, place: Place, *read: Part) -> Part:
    """The part at a place of `level`, which reads `read`."""
    kind, widths = kind_of(place.module), tuple(part.width for part in read)
    # Attentions give what they take.
    attends = kind in (PartKind.ATTENTION, PartKind.TRANSFORMER)
    width = widths[0] if attends else place.module.out_channels
    name = f"{NETWORK}.{level}.{place.members}.{place.number}"
    return Part(name, kind, place.module, tuple(part.name for part in read), widths, width)


def _layers(level: nn.Module) -> Iterator[list[Place]]:
    """The layers of a level: a residual block with its attention, at the end a resampler."""
    # What a level does not have is no child of it.
    members = {name: list(child.children()) for name, child in level.named_children()}
    attentions = members.get("attentions", [])
    for j, resnet in enumerate(members["resnets"]):
        attention = [Place("attentions", j, attentions[j])] if attentions else []
        yield [Place("resnets", j, resnet), *attention]
    for name in ("downsamplers", "upsamplers"):
        for j, resampler in enumerate(members.get(name, [])):
            yield [Place(name, j, resampler)]


def unet_blocks(backbone: Any) -> list[Block]:
    """A graph: every residual block of the upward path also reads a skip."""
    return [Block(part.name, part.inputs) for part in parts(backbone)]


def unet_sites(backbone: Any) -> list[Site]:
    """Time embedding, then the convolutions, linears and attention products of each part.

    The time embedding and the outer convolutions play roles of their own, which schemes leave at
    16 bits unless they name them.
    """
    time = f"{NETWORK}.time_embedding"
    sites = [Site(f"{time}.linear_{i}", Role.TIME, tokens=False) for i in (1, 2)]
    for part in parts(backbone):
        match part.kind:
            case PartKind.OUTER:
                sites.append(Site(part.name, Role.INPUT, Kind.CONV))
            case PartKind.RESNET:
                sites += _resnet_sites(part)
            case PartKind.TRANSFORMER:
                sites += _transformer_sites(part)
            case PartKind.ATTENTION:
                sites += _attention_sites(part.name)
            case PartKind.DOWNSAMPLE | PartKind.UPSAMPLE:
                sites.append(Site(f"{part.name}.conv", Role.CONV, Kind.CONV))
    return [*sites, Site(f"{NETWORK}.conv_out", Role.OUTPUT, Kind.CONV)]


def _resnet_sites(part: Part) -> list[Site]:
    sites = [
        Site(f"{part.name}.conv1", Role.CONV, Kind.CONV, splits=part.splits),
        Site(f"{part.name}.time_emb_proj", Role.ADA, tokens=False),
        Site(f"{part.name}.conv2", Role.CONV, Kind.CONV),
    ]
    if part.module.conv_shortcut is not None:
        shortcut = f"{part.name}.conv_shortcut"
        sites.append(Site(shortcut, Role.CONV, Kind.CONV, splits=part.splits))
    return sites


def _attention_sites(name: str) -> list[Site]:
    return [
        *(Site(f"{name}.to_{letter}", Role.QKV) for letter in "qkv"),
        Site(f"{name}.processor.attend", Role.ATTEND, Kind.ATTEND),
        Site(f"{name}.to_out.0", Role.PROJ),
    ]


def _transformer_sites(part: Part) -> list[Site]:
    sites = [Site(f"{part.name}.proj_in", Role.CONV, Kind.CONV)]
    for k in range(len(part.module.transformer_blocks)):
        block = f"{part.name}.transformer_blocks.{k}"
        sites += _attention_sites(f"{block}.attn1") + _attention_sites(f"{block}.attn2")
        sites += [Site(f"{block}.ff.net.0.proj", Role.FC1), Site(f"{block}.ff.net.2", Role.FC2)]
    return [*sites, Site(f"{part.name}.proj_out", Role.CONV, Kind.CONV)]


def unet_folds(backbone: Any) -> list[Fold]:
    """Norms into the linears that read them alone; values into the output; SiLU takes nothing."""
    folds: list[Fold] = []
    for part in parts(backbone):
        name = part.name
        match part.kind:
            case PartKind.RESNET:
                folds += [_nothing(f"{name}.silu{i}", f"{name}.conv{i}") for i in (1, 2)]
            case PartKind.TRANSFORMER:
                folds.append(_norm(f"{name}.norm", f"{name}.proj_in"))
                for k, block in enumerate(part.module.transformer_blocks):
                    folds += _transformer_folds(f"{name}.transformer_blocks.{k}", block)
            case PartKind.ATTENTION:
                readers = [f"{name}.to_{letter}" for letter in "qkv"]
                folds += [_norm(f"{name}.group_norm", *readers), _values(name, part.module)]
    return folds


def _transformer_folds(name: str, block: Any) -> list[Fold]:
    attn1, attn2 = f"{name}.attn1", f"{name}.attn2"
    return [
        _norm(f"{name}.norm1", *(f"{attn1}.to_{letter}" for letter in "qkv")),
        _values(attn1, block.attn1),
        _norm(f"{name}.norm2", f"{attn2}.to_q"),
        # Every block reads the context, so that no one of them can change it.
        _nothing(f"{attn2}.context", f"{attn2}.to_k", f"{attn2}.to_v"),
        _values(attn2, block.attn2),
        _norm(f"{name}.norm3", f"{name}.ff.net.0.proj"),
        Fold(
            f"{name}.ff.value",
            (f"{name}.ff.net.2",),
            frozenset({Absorb.SCALE}),
            _rows_push(f"{name}.ff.net.0.proj"),
        ),
    ]


def _nothing(name: str, *consumers: str) -> Fold:
    return Fold(name, consumers, frozenset(), no_push)


def _norm(norm: str, *consumers: str) -> Fold:
    """A norm with an affine of its own: w <- w / s, b <- (b - z) / s."""

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        module: Any = network.get_submodule(norm)
        module.bias.sub_(shift).div_(scale)
        module.weight.div_(scale)

    return Fold(norm, consumers, AFFINE, push)


def _values(name: str, attention: Any) -> Fold:
    """Values into the output: weights of attention sum to one, so a shift passes as well.

    It needs a bias to go to, which the values of most U-Nets lack. Rotations stay inside a head.
    """
    takes = AFFINE if attention.use_bias else frozenset({Absorb.SCALE})
    value = f"{name}.to_v"

    @torch.no_grad()
    def turn(network: nn.Module, rotate: Callable[[Tensor], Tensor]) -> None:
        module: Any = network.get_submodule(value)
        module.weight.copy_(rotate(module.weight.T).T)
        if module.bias is not None:
            module.bias.copy_(rotate(module.bias))

    return Fold(
        f"{name}.values",
        (f"{name}.to_out.0",),
        takes | {Absorb.ROTATION},
        _rows_push(value),
        turn,
        run=attention.inner_dim // attention.heads,
    )


def _rows_push(linear: str) -> Callable[[nn.Module, Tensor, Tensor], None]:
    """The push into the first rows of a linear: all of them, or the value half of a gated one."""

    @torch.no_grad()
    def push(network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        module: Any = network.get_submodule(linear)
        rows = slice(len(scale))
        module.weight[rows] /= scale[:, None]
        if module.bias is not None:
            module.bias[rows] = (module.bias[rows] - shift) / scale

    return push
