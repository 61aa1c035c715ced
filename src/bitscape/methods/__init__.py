"""Methods: one file a paper. The registry is also the test matrix."""

from collections.abc import Mapping

from bitscape.methods.adaround import AdaRound
from bitscape.methods.auto import Auto
from bitscape.methods.awq import AWQ
from bitscape.methods.base import Method
from bitscape.methods.dilatequant import DilateQuant, FaithfulDilateQuant
from bitscape.methods.efficientdm import EfficientDM
from bitscape.methods.gptq import GPTQ
from bitscape.methods.gptvq import GPTVQ
from bitscape.methods.matryoshka import Matryoshka
from bitscape.methods.mixed import Mixed
from bitscape.methods.mpqdm import MPQDM, FaithfulMPQDM
from bitscape.methods.omniquant import OmniQuant
from bitscape.methods.ptq4arvg import PTQ4ARVG, FaithfulPTQ4ARVG
from bitscape.methods.quarot import QuaRot
from bitscape.methods.quest import QuEST
from bitscape.methods.robuq import RobuQ
from bitscape.methods.rtn import RTN
from bitscape.methods.smoothquant import SmoothQuant
from bitscape.methods.starts import STARTS
from bitscape.methods.svdquant import SVDQuant
from bitscape.methods.topkld import TopKLD
from bitscape.methods.viditq import ViDiTQ

METHODS: Mapping[str, type[Method]] = {
    **STARTS,
    "gptvq": GPTVQ,
    "ptq4arvg-faithful": FaithfulPTQ4ARVG,
    "dilatequant": DilateQuant,
    "dilatequant-faithful": FaithfulDilateQuant,
    "efficientdm": EfficientDM,
    "quest": QuEST,
    "mpq-dm": MPQDM,
    "mpq-dm-faithful": FaithfulMPQDM,
    "topkld": TopKLD,
    "robuq": RobuQ,
    "matryoshka": Matryoshka,
}

__all__ = [
    "AWQ",
    "GPTQ",
    "GPTVQ",
    "METHODS",
    "MPQDM",
    "PTQ4ARVG",
    "RTN",
    "STARTS",
    "AdaRound",
    "Auto",
    "DilateQuant",
    "EfficientDM",
    "FaithfulDilateQuant",
    "FaithfulMPQDM",
    "FaithfulPTQ4ARVG",
    "Matryoshka",
    "Method",
    "Mixed",
    "OmniQuant",
    "QuEST",
    "QuaRot",
    "RobuQ",
    "SVDQuant",
    "SmoothQuant",
    "TopKLD",
    "ViDiTQ",
]
