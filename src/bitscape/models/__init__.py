"""Model families: one file each, nothing of quantization. `FAMILIES` is the test matrix."""

from bitscape.models.dit import DiT, DiTAdapter, DiTConfig
from bitscape.models.families import FAMILIES, Family, assemble, describe
from bitscape.models.multiscale import MultiScaleTokenizer
from bitscape.models.var import VAR, VARAdapter, VARConfig

__all__ = [
    "FAMILIES",
    "VAR",
    "DiT",
    "DiTAdapter",
    "DiTConfig",
    "Family",
    "MultiScaleTokenizer",
    "VARAdapter",
    "VARConfig",
    "assemble",
    "describe",
]
