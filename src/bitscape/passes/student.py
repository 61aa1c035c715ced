"""The student of a distillation: layers whose rounding is learnt, in the places of coded ones.

    W^ = s (round(W / s + z) - z),  s = s_0 exp(f)

W (the latent weight) and f are trained through the straight-through gradient of learned step size
quantization (Esser et al., "Learned Step Size Quantization", arXiv:1902.08153, eq. 3 and sec. 2.2:
gradients of a scale are multiplied by 1 / sqrt(n q_max), n the weights that share it). With a rank
W stays as it starts, and a low-rank correction of it is trained instead: `correction`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bitscape.algorithms.rounding import into_cell
from bitscape.formats import Format, Int, Slice
from bitscape.nn import ActivationQuantizer, QuantAttend, QuantConv2d, QuantLinear, quantized_sites
from bitscape.passes.correction import Correction
from bitscape.quantizers import (
    Centroids,
    Grid,
    from_groups,
    lsq_quantize,
    quantize_weight,
    round_scale,
    stored_scale,
    to_groups,
)


class StudentLayer(nn.Module):
    """A coded layer with its weight afloat again; it starts as exactly what it stands for.

    The latent weight starts at the point nearest to the weight before rounding that rounds to the
    layer's codes, or at the codes' own values when that is not known.

    With `widths` its integers are several models in one, each their first bits. Read so they are
    multiplied by a learnt number, which starts where |W - gain W^| is least: the steps that suit
    the whole integers, doubled for each bit less, are too long for the narrow ones.
    """

    # Paper: the scale itself is trained. Here: the logarithm of its ratio to the start, because one
    # rate for Adam then fits all rows, and no step can turn its sign.
    log_factor: nn.Parameter
    start_scale: Tensor
    zero: Tensor | None
    latent: Tensor
    correction: Correction | None

    def __init__(
        self,
        layer: QuantLinear | QuantConv2d,
        unrounded: Float[Tensor, "out in"] | None,
        low_rank: "LowRank | None" = None,
        widths: Sequence[int] = (),
    ) -> None:
        super().__init__()
        coded = layer.coded
        assert coded is not None
        if isinstance(coded.grid, Centroids):
            raise ValueError(
                f"{layer.site.name} is written in codebooks, which cannot be distilled: "
                "choose integers, floats or ternary"
            )
        self.layer, self.scheme = layer, coded.scheme
        self.width: int | None = None
        self.shape = tuple(coded.codes.shape)
        self.register_buffer("start_scale", coded.grid.scale.clone())
        self.register_buffer("zero", coded.grid.zero)
        taken = self.scheme.format.decode(to_groups(coded.codes, self.scheme.granularity))
        zero = 0 if self.zero is None else self.zero
        placed = taken
        if unrounded is not None:
            placed = to_groups(unrounded, self.scheme.granularity) / self.start_scale + zero
            placed = into_cell(placed, taken, self.scheme.format)
        values = (placed - zero) * self.start_scale
        latent = from_groups(values, self.shape, self.scheme.granularity)
        self.register_module("correction", None)
        if low_rank is None:
            self.latent = nn.Parameter(latent)
        else:
            self.register_buffer("latent", latent)
            shape = layer.weight_shape if isinstance(layer, QuantConv2d) else self.shape
            self.correction = Correction(shape, low_rank.rank, low_rank.generator).to(latent)
        self.log_factor = nn.Parameter(torch.zeros_like(self.start_scale))
        self.log_gains = nn.ParameterDict()
        if widths and self.scheme.format == Int(max(widths)):
            target = coded.dequantize() if unrounded is None else unrounded
            for width in sorted(widths)[:-1]:
                self._add_gain(width, target)

    def read_at(self, width: int | None) -> None:
        """Let integers be read as their first `width` bits; None for all of them."""
        self.width = width if str(width) in self.log_gains else None

    def factors(self) -> list[nn.Parameter]:
        """The logarithms of what multiplies the integers."""
        return [self.log_factor, *self.log_gains.values()]

    def gain(self, width: int) -> float:
        """What the first `width` bits are multiplied by, besides the power of two."""
        name = str(width)
        return float(self.log_gains[name].detach().exp()) if name in self.log_gains else 1.0

    @property
    def moved(self) -> list[nn.Parameter]:
        """What moves the weight: itself, or the factors of its correction."""
        if self.correction is not None:
            return list(self.correction.parameters())
        assert isinstance(self.latent, nn.Parameter)
        return [self.latent]

    def afloat(self) -> Float[Tensor, "out in"]:
        """The weight before it is rounded, its correction merged."""
        return self.latent if self.correction is None else self.latent + self.correction()

    def forward(self, x: Tensor) -> Tensor:
        """What the layer would compute if it were rounded now."""
        weight = self.weight()
        if isinstance(self.layer, QuantConv2d):
            return self.layer.multiply(x, weight.view(self.layer.weight_shape))
        return self.layer.multiply(x, weight)

    def weight(self) -> Float[Tensor, "out in"]:
        """The latent weight rounded, differentiable; to its first `width` bits if that is set."""
        exact = self.start_scale * self.log_factor.exp()
        scale = stored_scale(Grid(exact, self.zero), self.scheme)
        shared = self.latent.numel() / scale.numel()
        fmt: Format = self.scheme.format
        if self.width is not None and isinstance(fmt, Int):
            fmt = Slice(self.width, fmt.bits)
            scale = scale * fmt.spread
        grouped = lsq_quantize(
            to_groups(self.afloat(), self.scheme.granularity),
            scale,
            self.zero,
            fmt,
            (shared * fmt.largest) ** -0.5,
        )
        if self.width is not None:
            # Behind the rounding: which integer is read does not depend on it.
            grouped = grouped * self.log_gains[str(self.width)].exp()
        return from_groups(grouped, self.shape, self.scheme.granularity)

    @torch.no_grad()
    def _add_gain(self, width: int, target: Float[Tensor, "out in"]) -> None:
        self.log_gains[str(width)] = nn.Parameter(torch.zeros(1, device=target.device))
        self.read_at(width)
        read = self.weight()
        self.read_at(None)
        best = (target * read).sum() / read.square().sum()
        self.log_gains[str(width)].copy_(best.log() if best > 0 else torch.zeros(()))

    @torch.no_grad()
    def settle(self) -> QuantLinear | QuantConv2d:
        """The layer with what was learnt as its codes."""
        exact = self.start_scale * self.log_factor.exp()
        grid = round_scale(Grid(exact, self.zero), self.scheme)
        self.layer.set_codes(quantize_weight(self.afloat(), grid, self.scheme), grid, self.scheme)
        return self.layer


@dataclass(frozen=True)
class LowRank:
    """Corrections of `rank` in place of whole weights, drawn from `generator`."""

    rank: int
    generator: torch.Generator


@contextmanager
def enrolled(
    network: nn.Module,
    unrounded: Mapping[str, Tensor],
    low_rank: LowRank | None = None,
    widths: Sequence[int] = (),
) -> Iterator[dict[str, StudentLayer]]:
    """Put students in the places of all coded layers, and settle them when the context ends.

    Static activation ranges are parameters meanwhile; integers can be read at `widths`. After an
    error the layers are as before.
    """
    coded = {
        name: layer
        for name, layer in quantized_sites(network).items()
        if not isinstance(layer, QuantAttend) and layer.coded is not None
    }
    tables = static_quantizers(network)
    students = {
        name: StudentLayer(layer, unrounded.get(name), low_rank, widths)
        for name, layer in coded.items()
    }
    try:
        for name, student in students.items():
            network.set_submodule(name, student)
        for quantizer in tables.values():
            _table_to(quantizer, trained=True)
        yield students
        for student in students.values():
            student.settle()
    finally:
        for quantizer in tables.values():
            _table_to(quantizer, trained=False)
        for name, layer in coded.items():
            network.set_submodule(name, layer)


def static_quantizers(network: nn.Module) -> dict[str, ActivationQuantizer]:
    """The activation quantizers with ranges of their own, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, ActivationQuantizer) and module.table_scale is not None
    }


def _table_to(quantizer: ActivationQuantizer, *, trained: bool) -> None:
    """Make the table of static ranges a parameter, or a buffer again."""
    scale = quantizer.table_scale
    assert scale is not None
    del quantizer.table_scale
    if trained:
        quantizer.register_parameter("table_scale", nn.Parameter(scale))
    else:
        # Half a step of Adam may overshoot zero, below which there is no range.
        smallest = torch.finfo(scale.dtype).tiny
        quantizer.register_buffer("table_scale", scale.detach().clamp(min=smallest))
