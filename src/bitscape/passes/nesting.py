"""Several models in one set of codes: how the widths share in what is learnt.

Nair et al., "Matryoshka Quantization", arXiv:2502.06786: a weight for the loss of each width, and
co-distillation, in which narrow widths learn from the widest as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bitscape.formats import QuantScheme
from bitscape.nn import read_first_bits
from bitscape.passes.base import Context, Field
from bitscape.structure import Pipeline


@dataclass(frozen=True)
class Nesting:
    """The `widths` at which codes are read while they are trained, the greatest of them first.

        L = sum_r weight_r ((1 - codistill) D_r(teacher) + codistill D_r(widest))

    D_r compares the network at r bits with full precision, and below the greatest width also with
    the network at that width, which takes no gradient from it. Without `weights` they are
    2^(r - widest). All widths have the error e_r of their latent weights in common, which is about
    2^-r, and the gradient H e_r of their losses with it: at equal weights the narrowest would move
    the weights of all, and Adam, which steps as far for any gradient, by whole steps of the widest.
    """

    widths: tuple[int, ...]
    weights: tuple[float, ...] = ()
    codistill: float = 0.0

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1 or len(set(self.widths)) < len(self.widths):
            raise ValueError(f"widths are bits, each once, got {self.widths}")
        if self.widths[0] != max(self.widths):
            raise ValueError(f"the greatest width comes first, got {self.widths}")
        if self.weights and (len(self.weights) != len(self.widths) or min(self.weights) <= 0):
            raise ValueError(
                f"each of the widths {self.widths} has a weight above zero, got {self.weights}"
            )
        if not 0 <= self.codistill <= 1:
            raise ValueError(f"the share of co-distillation lies in [0, 1], got {self.codistill}")

    @property
    def whole(self) -> int:
        """The greatest width."""
        return self.widths[0]

    @property
    def weight(self) -> dict[int, float]:
        """The weight of the loss of each width."""
        default = tuple(2.0 ** (width - self.whole) for width in self.widths)
        return dict(zip(self.widths, self.weights or default, strict=True))

    def joined(self, losses: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """ "loss" weighted, the means of the others; with the width behind, those of each."""
        names = losses[self.whole]
        means = {n: torch.stack([each[n] for each in losses.values()]).mean() for n in names}
        weight = self.weight
        means["loss"] = torch.stack([weight[w] * each["loss"] for w, each in losses.items()]).sum()
        own = {f"{n}_{w}": v.detach() for w, each in losses.items() for n, v in each.items()}
        return means | own

    def mixed(
        self, teacher: Mapping[str, Tensor], widest: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The losses towards the teacher, "loss" mixed with the one towards the widest."""
        mixed = (1 - self.codistill) * teacher["loss"] + self.codistill * widest["loss"]
        return {**teacher, "loss": mixed}


@dataclass(frozen=True)
class ReadAt:
    """Keep the first `bits` of what was trained at several widths, and no other.

    ValueError where no pass before trained at that width.
    """

    before: ClassVar[frozenset[Field]] = frozenset()
    writes: ClassVar[frozenset[Field]] = frozenset({"codes"})

    bits: int

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Never."""
        del scheme
        return False

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Cut the codes of every site."""
        gains = context.nested
        if self.bits not in gains:
            trained = ", ".join(map(str, sorted(gains))) or "none"
            raise ValueError(
                f"codes can be read at the widths they were trained at ({trained}), "
                f"not at {self.bits} bits: train at it first"
            )
        read_first_bits(pipeline.network, self.bits, max(gains), gains[self.bits])
        # Other widths are gone with the bits behind the first.
        context.nested = {}
        context.report.pop("nested", None)
