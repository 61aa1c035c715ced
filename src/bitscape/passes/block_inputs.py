"""The rounding of a block's inputs while the block is reconstructed, fixed or learnt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from bitscape.calibration import StepSamples, Unit, Whole
from bitscape.formats import TensorScheme
from bitscape.nn import ActivationQuantizer, QuantConv2d, QuantLinear
from bitscape.passes.base import Context, chosen
from bitscape.passes.finished import read_groups, write_groups
from bitscape.passes.learned_table import LearnedTable
from bitscape.passes.quantize_activations import QuantizeActivations, group_ranges
from bitscape.passes.site_weight import layer_of
from bitscape.structure import Pipeline

Tables = dict[str, LearnedTable]


class BlockInputs:
    """Puts the activation quantizers of one block in after another.

    Static ones are left for later without `ranges`, which says how theirs are found.
    """

    def __init__(
        self, pipeline: Pipeline, context: Context, ranges: QuantizeActivations | None
    ) -> None:
        self.pipeline, self.context, self.ranges = pipeline, context, ranges
        pairs = chosen(pipeline, context)
        self.sites = {site.name: site for site, _ in pairs}
        self.schemes = {site.name: scheme.activation for site, scheme in pairs}

    def quantize(self, place: Unit | Whole, names: Sequence[str]) -> None:
        """Round the inputs of the sites `names`; static ranges are those of what they now see."""
        wanted = {name: scheme for name in names if (scheme := self.schemes[name]) is not None}
        seen = {n: StepSamples(self.sites[n]) for n in wanted if self._static(n)}
        place.observe(seen)
        for name, scheme in wanted.items():
            if scheme.dynamic:
                self._put(name, scheme)
            elif name in seen and self.ranges is not None:
                site, found = self.sites[name], seen[name]
                self.ranges.fill(self._put(name, scheme), found, self.pipeline, site)
                groups = group_ranges(found, self.pipeline, site)
                self.context.site_report(name)["input_ranges"] = groups

    def tables(self, names: Sequence[str]) -> Tables:
        """The static ranges among the sites `names`, ready to be learnt."""
        layers = {name: self._layer(name) for name in names}
        return {
            name: LearnedTable(layer.activation)
            for name, layer in layers.items()
            if layer.activation is not None and layer.activation.table_scale is not None
        }

    def settle(self, tables: Tables) -> None:
        """Make learnt ranges those of their layers."""
        for name, table in tables.items():
            scale, zero = table.table()
            zero = None if zero is None else zero.detach()
            quantizer = self._layer(name).activation
            assert quantizer is not None
            quantizer.set_table(scale.detach(), zero, table.row_of)

    def keep(self, path: Path, names: Sequence[str]) -> None:
        """Write the ranges of the sites `names` to `path`."""
        found: dict[str, dict[str, Tensor]] = {}
        for name in self.tables(names):
            quantizer = self._layer(name).activation
            assert quantizer is not None
            kinds = {"scale": quantizer.table_scale, "zero": quantizer.table_zero}
            found[name] = {kind: t for kind, t in kinds.items() if t is not None}
        write_groups(path, found)

    def restore(self, path: Path) -> None:
        """Read back what `keep` wrote; the quantizers are in place."""
        for name, kept in read_groups(path, self.pipeline.device).items():
            quantizer = self._layer(name).activation
            assert quantizer is not None
            quantizer.set_table(kept["scale"], kept.get("zero"), quantizer.row_of)

    def _static(self, name: str) -> bool:
        scheme = self.schemes[name]
        return scheme is not None and not scheme.dynamic and self.ranges is not None

    def _put(self, name: str, scheme: TensorScheme) -> ActivationQuantizer:
        return self._layer(name).quantize_activation(scheme)

    def _layer(self, name: str) -> QuantLinear | QuantConv2d:
        return layer_of(self.pipeline.network, name)


@contextmanager
def learning_ranges(network: nn.Module, tables: Mapping[str, LearnedTable]) -> Iterator[None]:
    """Round by learnt ranges while the context lasts."""
    layers = {name: network.get_submodule(name) for name in tables}
    before = {name: layer.activation for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.activation = tables[name]
        yield
    finally:
        for name, layer in layers.items():
            layer.activation = before[name]
