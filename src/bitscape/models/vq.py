"""LlamaGen's tokenizer: a VQGAN autoencoder with one flat codebook, a token a cell.

Esser et al., "Taming Transformers for High-Resolution Image Synthesis", arXiv 2012.09841, with the
codebook of Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", arXiv 2110.04627: few
channels, all vectors of length one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.models.autoencoder import AutoencoderConfig, Decoder, Encoder
from bitscape.models.autoencoder_keys import Naming, autoencoder_keys
from bitscape.models.checkpoint import KeyMap, Layout, Source

Map = Float[Tensor, "batch _ _ _"]
Cells = Int[Tensor, "batch cell"]


@dataclass(frozen=True)
class VQConfig:
    """Sizes of a flat tokenizer: its autoencoder, codes, and the convolutions around the codebook.

    `kernel` is the side of those convolutions; with `normalise`, latents and codes have length one.
    """

    autoencoder: AutoencoderConfig
    vocabulary: int = 16384
    channels: int = 8
    kernel: int = 1
    normalise: bool = True


class VQTokenizer(nn.Module):
    """Autoencoder and codebook: images to tokens in raster order and back."""

    rounded: bool | None = None

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        width, channels, kernel = config.autoencoder.latent_channels, config.channels, config.kernel
        self.encoder = Encoder(config.autoencoder)
        self.decoder = Decoder(config.autoencoder)
        self.quant_conv = nn.Conv2d(width, channels, kernel, padding=kernel // 2)
        self.post_quant_conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        self.embedding = nn.Embedding(config.vocabulary, channels)

    def codes(self) -> Float[Tensor, "code channel"]:
        """The codebook as it is looked up."""
        weight = self.embedding.weight
        return functional.normalize(weight, dim=1) if self.config.normalise else weight

    def features(self, images: Map) -> Map:
        """The latent map before quantization, for images in [-1, 1]."""
        f: Tensor = self.quant_conv(self.encoder(images))
        return functional.normalize(f, dim=1) if self.config.normalise else f

    def nearest(self, f: Map) -> Cells:
        """The index of the nearest code in each cell of a latent map."""
        codes, rows = self.codes(), f.permute(0, 2, 3, 1).flatten(0, 2)
        index = torch.addmm(codes.square().sum(1), rows, codes.T, alpha=-2).argmin(dim=1)
        return index.view(len(f), -1)

    def tokens(self, images: Map) -> Cells:
        """The tokens of images in [-1, 1]."""
        return self.nearest(self.features(images))

    def lookup(self, tokens: Cells) -> Map:
        """The latent map, square, that tokens stand for."""
        side = round(tokens.shape[1] ** 0.5)
        rows = functional.embedding(tokens, self.codes())
        return rows.transpose(1, 2).unflatten(2, (side, side))

    def latents(self, images: Map) -> Map:
        """The latent map before quantization, on which latent diffusion works."""
        return self.features(images)

    def from_latents(self, latents: Map) -> Map:
        """Images in about [-1, 1], each cell of the latent map moved to its nearest code."""
        return self.decode(self.lookup(self.nearest(latents)))

    def decode(self, f: Map) -> Map:
        """Images in about [-1, 1] from a latent map."""
        result: Tensor = self.decoder(self.post_quant_conv(f))
        return result


NAMING = Naming(
    down="conv_blocks.{}",
    up="conv_blocks.{}",
    coarsest_first=True,
    residual="res.{}",
    attention="attn.{}",
    downsample="downsample.conv",
    upsample="upsample.conv",
    middle=("mid.0", "mid.1", "mid.2"),
    norm_out="norm_out",
    parts={"shortcut": "nin_shortcut", "proj": "proj_out"},
    qkv=("q", "k", "v"),
)


def _released_keys(module: nn.Module) -> KeyMap:
    assert isinstance(module, VQTokenizer)
    outside = ("quant_conv.", "post_quant_conv.")
    alone = {name: Source((name,)) for name in module.state_dict() if name.startswith(outside)}
    codes = {"embedding.weight": Source(("quantize.embedding.weight",))}
    return {**autoencoder_keys(module, module.config.autoencoder, NAMING), **alone, **codes}


VQ_LAYOUT = Layout(
    name="vq_ds16",
    keys=_released_keys,
    nested=("model",),
    ignored=lambda key: key == "quantize.codebook_used",
)
"""`vq_ds16_c2i.pt` as LlamaGen publishes it; PAR uses the same file."""


def vq16() -> VQConfig:
    """The released VQ-16: 16 pixels a cell, 16384 codes of 8 channels."""
    return VQConfig(AutoencoderConfig(128, (1, 1, 2, 2, 4), 2, 256))


def tiny_vq(vocabulary: int) -> VQConfig:
    """A tokenizer for tests: 4 pixels a cell."""
    return VQConfig(AutoencoderConfig(8, (1, 2, 2), 1, 8, 4), vocabulary, 4)
