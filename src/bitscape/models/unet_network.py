"""U-Nets of diffusion, built by diffusers, with the sizes of the released ones.

Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, for the network; Rombach et
al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752, for latents
and cross-attention. `unet_graph` says how the parts hang together, `unet_keys` how released
checkpoints name them.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from bitscape.models.diffusion import Diffusion
from bitscape.structure import Attend, merge_heads

Latent = Float[Tensor, "batch channel height width"]


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a U-Net, under the names that diffusers gives them where it has one.

    `attention` says which levels attend, finest first; the middle always does. With
    `cross_attention_dim` they also attend to a context of that width: one embedded class token, or
    the encoded prompt. Without it a class is added to the time embedding. Heads are counted by
    `num_heads`, or are `attention_head_dim` channels wide; one head if neither is given.
    `steps` counts those of the published sampler.
    """

    sample_size: int
    channels: int
    block_out_channels: tuple[int, ...]
    attention: tuple[bool, ...]
    layers_per_block: int = 2
    condition: Literal["none", "class", "prompt"] = "none"
    num_classes: int = 1
    cross_attention_dim: int | None = None
    num_heads: int | None = None
    attention_head_dim: int | None = None
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"
    resample: Literal["conv", "resnet"] = "conv"
    downsample_padding: int = 1
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    flip_sin_to_cos: bool = True
    freq_shift: int = 0
    label_dropout: float = 0.1
    diffusion: Diffusion = field(default_factory=Diffusion)
    steps: int = 20

    def __post_init__(self) -> None:
        if len(self.attention) != len(self.block_out_channels):
            raise ValueError(
                f"{len(self.block_out_channels)} levels need as many entries in `attention`, "
                f"got {len(self.attention)}"
            )
        if self.cross_attention_dim is not None and self.num_heads is None:
            raise ValueError("cross-attention counts its heads: give `num_heads`")


class UNet(nn.Module):
    """The predicted noise of `x` at timesteps `t`.

    `condition` is nothing, class labels of which `num_classes` means "no class", or the encoded
    prompt, shape (batch, token, channel).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        crossing = config.cross_attention_dim is not None
        self.backbone = _crossing(config) if crossing else _plain(config)
        self.class_embed: nn.Embedding | None = None
        if config.cross_attention_dim is not None and config.condition == "class":
            self.class_embed = nn.Embedding(config.num_classes + 1, config.cross_attention_dim)

    def forward(
        self, x: Latent, t: Int[Tensor, " batch"], condition: Tensor | None = None
    ) -> Latent:
        # Latents keep the sampler's precision; the network may compute in another.
        x = x.to(self.backbone.dtype)
        if self.class_embed is not None and condition is not None:
            condition = self.class_embed(condition)[:, None]
        if self.config.cross_attention_dim is not None and condition is not None:
            condition = condition.to(x.dtype)
        result: Tensor = self.backbone(x, t, condition, return_dict=False)[0]
        return result


class AttendProcessor(nn.Module):
    """What an attention of diffusers does with its linears, its products being a module."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = Attend()

    # Not `forward`: diffusers reads the signature of this very method.
    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Self-attention over tokens or pixels, or attention to `encoder_hidden_states`."""
        del attention_mask, temb
        x = hidden_states
        if hidden_states.ndim == 4:
            x = attn.group_norm(hidden_states).flatten(2).transpose(1, 2)
        context = x if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            part.unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for part in (attn.to_q(x), attn.to_k(context), attn.to_v(context))
        )
        out: Tensor = attn.to_out[0](merge_heads(self.attend(q, k, v, scale=attn.scale)))
        if hidden_states.ndim == 4:
            out = out.transpose(1, 2).reshape(hidden_states.shape)
        return out + hidden_states if attn.residual_connection else out


def _shared(config: UNetConfig) -> dict[str, Any]:
    return {
        "sample_size": config.sample_size,
        "in_channels": config.channels,
        "out_channels": config.channels,
        "block_out_channels": config.block_out_channels,
        "layers_per_block": config.layers_per_block,
        "resnet_time_scale_shift": config.resnet_time_scale_shift,
        "downsample_padding": config.downsample_padding,
        "norm_num_groups": config.norm_num_groups,
        "norm_eps": config.norm_eps,
        "flip_sin_to_cos": config.flip_sin_to_cos,
        "freq_shift": config.freq_shift,
    }


def _plain(config: UNetConfig) -> Any:
    """The network without cross-attention."""
    resnet = "Resnet" if config.resample == "resnet" else ""
    middle = (
        ("{}DownsampleBlock2D", "{}UpsampleBlock2D") if resnet else ("DownBlock2D", "UpBlock2D")
    )
    down = ["AttnDownBlock2D" if on else middle[0].format(resnet) for on in config.attention]
    up = ["AttnUpBlock2D" if on else middle[1].format(resnet) for on in config.attention[::-1]]
    backbone = _network("UNet2DModel")(
        **_shared(config),
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        downsample_type=config.resample,
        upsample_type=config.resample,
        attention_head_dim=config.attention_head_dim,
        # Otherwise the middle loses its norm as soon as the time embedding scales.
        attn_norm_num_groups=config.norm_num_groups,
        num_class_embeds=config.num_classes + 1 if config.condition == "class" else None,
    )
    return _attending(backbone, config.num_heads)


def _crossing(config: UNetConfig) -> Any:
    """The network with cross-attention."""
    down = ["CrossAttnDownBlock2D" if on else "DownBlock2D" for on in config.attention]
    up = ["CrossAttnUpBlock2D" if on else "UpBlock2D" for on in config.attention[::-1]]
    backbone = _network("UNet2DConditionModel")(
        **_shared(config),
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        cross_attention_dim=config.cross_attention_dim,
        # The number of heads, by the name that diffusers once gave it.
        attention_head_dim=config.num_heads,
    )
    return _attending(backbone, None)


def _attending(backbone: Any, heads: int | None) -> Any:
    """`backbone` with `Attend` in its attentions, `heads` in each of them if given."""
    attention = _network("Attention", "diffusers.models.attention_processor")
    for module in list(backbone.modules()):
        if isinstance(module, attention):
            module.set_processor(AttendProcessor())
            if heads is not None:
                module.heads = heads
                module.scale = (module.inner_dim // heads) ** -0.5
    return backbone


def _network(name: str, package: str = "diffusers") -> Any:
    try:
        return getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        raise ValueError(
            "U-Nets are built by diffusers: install it with pip install bitscape[diffusers]"
        ) from error
