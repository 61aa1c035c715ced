"""The changes of basis that are learnt inside a block while it is reconstructed."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from bitscape.calibration import Extremes, Unit
from bitscape.nn import QuantLinear
from bitscape.passes.base import Context, chosen
from bitscape.passes.folding import apply_transform, consumers
from bitscape.passes.learned import Affine, starting_affine
from bitscape.passes.site_weight import layer_of, matrix_of
from bitscape.passes.transform import Transform
from bitscape.structure import Absorb, Fold, Pipeline

Basis = dict[str, Tensor]


class BlockBases:
    """Finds the folds of a block whose basis can be learnt, and makes what was learnt."""

    def __init__(self, pipeline: Pipeline, context: Context) -> None:
        self.pipeline, self.context = pipeline, context
        self.read = {site.name: s.activation for site, s in chosen(pipeline, context)}

    def starts(self, unit: Unit, names: Sequence[str]) -> list[tuple[Fold, Affine]]:
        """The folds among the sites `names` whose basis is learnt, each with where it starts."""
        network = self.pipeline.network
        folds = [f for f in self.pipeline.adapter.folds(network) if self._free(f, names)]
        if not folds:
            return []
        first = {n: matrix_of(layer_of(network, n)) for n in (f.consumers[0] for f in folds)}
        seen = {name: Extremes(W.shape[1], W.device) for name, W in first.items()}
        unit.observe(seen)
        found = []
        for fold in folds:
            at = seen[fold.consumers[0]]
            weights = [matrix_of(layer) for layer in consumers(network, fold)]
            shift = Absorb.SHIFT in fold.takes
            found.append((fold, starting_affine((at.low, at.high), weights, shift=shift)))
        return found

    def change(self, bases: Mapping[str, Basis]) -> None:
        """Make learnt changes of basis, exactly, in the consumers and their producers."""
        network = self.pipeline.network
        for fold in self.pipeline.adapter.folds(network):
            if fold.name not in bases:
                continue
            scale, shift = bases[fold.name]["scale"], bases[fold.name].get("shift")
            apply_transform(network, fold, Transform("learnt", scale, shift))
            entry = {
                "choice": "learnt",
                "least": float(scale.min()),
                "greatest": float(scale.max()),
            }
            for name in fold.consumers:
                self.context.site_report(name)["transform"] = entry

    def _free(self, fold: Fold, names: Sequence[str]) -> bool:
        """Whether its consumers are all rounded here, in the basis that they came in."""
        if Absorb.SCALE not in fold.takes or not set(fold.consumers) <= set(names):
            return False
        layers = [self.pipeline.network.get_submodule(name) for name in fold.consumers]
        plain = all(
            isinstance(layer, QuantLinear)
            and layer.scale is None
            and layer.shift is None
            and not layer.rotation
            and layer.lowrank_down is None
            for layer in layers
        )
        read = [self.read[name] for name in fold.consumers]
        return plain and any(scheme is not None and scheme.dynamic for scheme in read)


def basis_of(affine: Affine) -> Basis:
    """Scale and shift as they were learnt."""
    basis = {"scale": affine.scale.detach()}
    return basis if affine.shift is None else {**basis, "shift": affine.shift.detach()}
