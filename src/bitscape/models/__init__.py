"""Model families: one file each, nothing of quantization. `FAMILIES` is the test matrix."""

from bitscape.models.dit import DiT, DiTAdapter, DiTConfig
from bitscape.models.families import FAMILIES, assemble, describe
from bitscape.models.family import Family
from bitscape.models.kl import KLConfig, KLTokenizer
from bitscape.models.llamagen import LlamaGen, LlamaGenAdapter, LlamaGenConfig
from bitscape.models.mar import MARAdapter
from bitscape.models.mar_network import MAR, MARConfig
from bitscape.models.maskgit import MaskGITTokenizer
from bitscape.models.multiscale import MultiScaleConfig, MultiScaleTokenizer
from bitscape.models.unet import UNetAdapter
from bitscape.models.unet_network import UNetConfig
from bitscape.models.var import VARAdapter
from bitscape.models.var_network import VAR, VARConfig
from bitscape.models.vq import VQConfig, VQTokenizer

__all__ = [
    "FAMILIES",
    "MAR",
    "VAR",
    "DiT",
    "DiTAdapter",
    "DiTConfig",
    "Family",
    "KLConfig",
    "KLTokenizer",
    "LlamaGen",
    "LlamaGenAdapter",
    "LlamaGenConfig",
    "MARAdapter",
    "MARConfig",
    "MaskGITTokenizer",
    "MultiScaleConfig",
    "MultiScaleTokenizer",
    "UNetAdapter",
    "UNetConfig",
    "VARAdapter",
    "VARConfig",
    "VQConfig",
    "VQTokenizer",
    "assemble",
    "describe",
]
