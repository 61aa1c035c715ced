"""Methods: one file a paper. The registry is also the test matrix."""

from collections.abc import Mapping

from bitscape.methods.adaround import AdaRound
from bitscape.methods.awq import AWQ
from bitscape.methods.base import Method
from bitscape.methods.gptq import GPTQ
from bitscape.methods.gptvq import GPTVQ
from bitscape.methods.omniquant import OmniQuant
from bitscape.methods.quarot import QuaRot
from bitscape.methods.rtn import RTN
from bitscape.methods.smoothquant import SmoothQuant
from bitscape.methods.svdquant import SVDQuant
from bitscape.methods.viditq import ViDiTQ

METHODS: Mapping[str, type[Method]] = {
    "rtn": RTN,
    "gptq": GPTQ,
    "gptvq": GPTVQ,
    "adaround": AdaRound,
    "omniquant": OmniQuant,
    "svdquant": SVDQuant,
    "smoothquant": SmoothQuant,
    "awq": AWQ,
    "quarot": QuaRot,
    "vidit-q": ViDiTQ,
}

__all__ = [
    "AWQ",
    "GPTQ",
    "GPTVQ",
    "METHODS",
    "RTN",
    "AdaRound",
    "Method",
    "OmniQuant",
    "QuaRot",
    "SVDQuant",
    "SmoothQuant",
    "ViDiTQ",
]
