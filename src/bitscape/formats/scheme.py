"""Schemes: what is paid for. Which format, shared by how many elements, at which sites.

A scheme never says how the numbers are found; that is the method's part.
"""

from dataclasses import dataclass
from typing import Literal

from bitscape.formats.codebook import Codebook
from bitscape.formats.floating import Float
from bitscape.formats.format import Format
from bitscape.formats.integer import Int
from bitscape.formats.power import E8M0

FULL_BITS = 16

GranularityKind = Literal["tensor", "channel", "group", "split", "tile", "token", "step"]


@dataclass(frozen=True)
class Granularity:
    """Which elements share one scale.

    "tensor": all of them; "channel": an output channel of a weight; "group": `size` neighbours
    along the last axis; "split": neighbours as well, in runs of `widths` that may differ; "tile":
    about `size` weights in a rectangle; "token": a token of an activation; "step": all of them, at
    one row of a step table.
    """

    kind: GranularityKind
    size: int | None = None
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind in ("group", "tile")) != (self.size is not None):
            raise ValueError(
                f"a size belongs to groups and tiles only, got {self.kind!r} with {self.size}"
            )
        if (self.kind == "split") != bool(self.widths):
            raise ValueError(f"widths belong to splits only, got {self.kind!r} with {self.widths}")
        if any(size < 1 for size in (*self.widths, 1 if self.size is None else self.size)):
            raise ValueError(f"a group has at least 1 element, got {self.size or self.widths}")

    def __str__(self) -> str:
        if self.widths:
            return f"s{'+'.join(map(str, self.widths))}"
        return self.kind if self.size is None else f"{self.kind[0]}{self.size}"

    def runs(self, width: int) -> tuple[int, ...]:
        """How many neighbours of a row of `width` share each scale: all of them, unless by group.

        Raises ValueError for groups or splits that do not make up the row.
        """
        if self.widths:
            if sum(self.widths) != width:
                raise ValueError(f"splits of {self.widths} do not make up a width of {width}")
            return self.widths
        size = self.size if self.kind == "group" and self.size is not None else width
        if width % size:
            divisors = [divisor for divisor in range(1, width + 1) if width % divisor == 0]
            nearest = sorted(divisors, key=lambda divisor: abs(divisor - size))[:3]
            raise ValueError(
                f"groups of {size} do not divide a width of {width}: the nearest sizes are "
                f"{', '.join(map(str, sorted(nearest)))}"
            )
        return (size,) * (width // size)


@dataclass(frozen=True)
class TensorScheme:
    """How one tensor is written: a format, the reach of a scale and the format of that scale.

    Asymmetric means an integer zero point, hence unsigned integers; every other format is
    symmetric. A dynamic scale is computed from the tensor itself at run time and never stored.
    `scale_format` None keeps scales in floating point (float16 where a row has several, float32
    otherwise).
    Codebooks, and they alone, come by tile: each has its centroids, 8-bit integers under one
    float16 scale.
    """

    format: Format
    granularity: Granularity
    symmetric: bool = True
    dynamic: bool = False
    scale_format: Format | None = None

    def __post_init__(self) -> None:
        unsigned = isinstance(self.format, Int) and not self.format.signed
        if unsigned == self.symmetric:
            raise ValueError(
                f"{self.format.name} cannot be {'' if self.symmetric else 'a'}symmetric: only "
                f"unsigned integers have a zero point, and they need one"
            )
        if isinstance(self.format, Codebook) != (self.granularity.kind == "tile"):
            raise ValueError(f"codebooks come by tile and nothing else does, got {self}")
        if not isinstance(self.scale_format, E8M0 | Float | None):
            raise ValueError(f"{self.scale_format.name} cannot hold scales: use e8m0 or a float")

    def __str__(self) -> str:
        """The text `parse_tensor_scheme` reads: "int4@g64", "e2m1@g32*e8m0,dynamic"."""
        scale = "" if self.scale_format is None else f"*{self.scale_format.name}"
        dynamic = ",dynamic" if self.dynamic else ""
        return f"{self.format.name}@{self.granularity}{scale}{dynamic}"

    @property
    def scale_bits(self) -> int:
        """Bits of one stored scale; the one tensor-wide scale of NVFP4 is counted apart."""
        if self.scale_format is not None:
            return self.scale_format.code_bits
        return 16 if self.granularity.kind in ("group", "split", "tile") else 32

    def code_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The shape of the codes of a matrix of `shape`: a codebook has one for `dim` columns."""
        rows, columns = shape
        return rows, columns // (self.format.dim if isinstance(self.format, Codebook) else 1)


@dataclass(frozen=True)
class SiteScheme:
    """The schemes of one site's weight and of its input; None keeps 16 bits."""

    weight: TensorScheme | None
    activation: TensorScheme | None

    def __str__(self) -> str:
        """Weight x activation: "int4@g64 x uint8@token,dynamic", 16 for what is not quantized."""
        return f"{self.weight or FULL_BITS} x {self.activation or FULL_BITS}"

    @property
    def weight_bits(self) -> float:
        """Bits of one weight, scales apart."""
        return FULL_BITS if self.weight is None else self.weight.format.bits

    @property
    def activation_bits(self) -> float:
        """Bits of one input element, scales apart."""
        return FULL_BITS if self.activation is None else self.activation.format.bits


@dataclass(frozen=True)
class QuantScheme:
    """The scheme of a whole network: a default, and what some roles or single sites do instead.

    `name` is the canonical text of what was asked for: `parse_scheme(scheme.name) == scheme`, until
    a pass gives single sites schemes of their own.
    """

    name: str
    default: SiteScheme
    roles: tuple[tuple[str, SiteScheme], ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def sites(self) -> tuple[SiteScheme, ...]:
        """The default, then those of roles and single sites."""
        return self.default, *(site for _, site in self.roles)

    @property
    def weights(self) -> tuple[TensorScheme, ...]:
        """The schemes of weights that occur in it, each once."""
        found = [site.weight for site in self.sites if site.weight is not None]
        return tuple(dict.fromkeys(found))

    def at(self, role: str, name: str = "") -> SiteScheme:
        """The scheme of the site `name`, or else of sites that play `role`."""
        own = dict(self.roles)
        return own.get(name, own.get(role, self.default))
