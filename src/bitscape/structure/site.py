"""Sites: the places of a network that can be quantized, and the role each one plays."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a site does in its block; schemes and exception lists address sites by role."""

    QKV = "qkv"
    PROJ = "proj"
    FC1 = "fc1"
    FC2 = "fc2"
    ADA = "ada"
    HEAD = "head"
    CONV = "conv"
    ATTEND = "attend"
    TIME = "time"
    INPUT = "input"
    OUTPUT = "output"


class Kind(StrEnum):
    """The contraction a site computes."""

    LINEAR = "linear"
    CONV = "conv"
    ATTEND = "attend"


@dataclass(frozen=True)
class Site:
    """One quantizable module, as its adapter declares it.

    `name` is the dotted path inside the pipeline's network. `tokens` says whether the input has a
    token axis, (batch, token, channel), or is one vector a sample, (batch, channel): a conditioning
    vector has no position, so a step table of such a site has no row per token. `splits` are the
    widths of a concatenated input (U-Net skips), each with an activation range of its own; empty
    means one undivided input. `runs` are the first positions of the runs within which inputs are
    distributed alike, such as (0, 1): a first token apart from the rest; empty means that each
    position stands alone.
    """

    name: str
    role: Role
    kind: Kind = Kind.LINEAR
    tokens: bool = True
    splits: tuple[int, ...] = ()
    runs: tuple[int, ...] = ()
