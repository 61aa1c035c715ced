"""Where training may start from: the methods that round without training a whole network."""

from collections.abc import Mapping

from bitscape.methods.adaround import AdaRound
from bitscape.methods.auto import Auto
from bitscape.methods.awq import AWQ
from bitscape.methods.base import Method
from bitscape.methods.gptq import GPTQ
from bitscape.methods.mixed import Mixed
from bitscape.methods.omniquant import OmniQuant
from bitscape.methods.ptq4arvg import PTQ4ARVG
from bitscape.methods.quarot import QuaRot
from bitscape.methods.rtn import RTN
from bitscape.methods.smoothquant import SmoothQuant
from bitscape.methods.svdquant import SVDQuant
from bitscape.methods.viditq import ViDiTQ
from bitscape.passes import Pass

STARTS: Mapping[str, type[Method]] = {
    "rtn": RTN,
    "gptq": GPTQ,
    "adaround": AdaRound,
    "omniquant": OmniQuant,
    "svdquant": SVDQuant,
    "mixed": Mixed,
    "smoothquant": SmoothQuant,
    "awq": AWQ,
    "quarot": QuaRot,
    "vidit-q": ViDiTQ,
    "ptq4arvg": PTQ4ARVG,
    "auto": Auto,
}


def starting_passes(name: str) -> tuple[Pass, ...]:
    """The passes of the method `name`; ValueError lists those there are."""
    if name not in STARTS:
        raise ValueError(
            f"training cannot start from {name!r}: one of {', '.join(STARTS)}, or the folder of an "
            "artefact"
        )
    return tuple(STARTS[name]().passes())
