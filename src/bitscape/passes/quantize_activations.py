"""Activation quantizers: dynamic ones need nothing, static ones a range for all steps or each."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bitscape.calibration import StepSamples, observe
from bitscape.formats import QuantScheme, TensorScheme
from bitscape.nn import ActivationQuantizer, QuantConv2d, QuantLinear
from bitscape.passes.attention import insert_attends, observe_heads
from bitscape.passes.base import Context, Field, chosen
from bitscape.passes.rounders import range_rule
from bitscape.passes.site_weight import layer_of
from bitscape.quantizers import Grid, Probabilities
from bitscape.structure import Pipeline, Role, Site, net_of

Index = Literal["none", "step", "run"]

GROUPS = 4
"""The groups of positions that a report tells ranges of where a site declares none."""


@dataclass(frozen=True)
class QuantizeActivations:
    """Quantize the input of every site whose scheme asks for it.

    Static ranges are fitted by the rule called `range` on the inputs of the network as it stands.
    `index` "step" gives each position of the trajectory, or timestep of a diffusion, a range of its
    own, or with a bound of `rows` each group of neighbours; "run" each run of positions that the
    site declares. One that was never recorded takes that of the nearest one that was: a sampler
    may stop at other timesteps than those of the calibration. A site that has its ranges already,
    learnt with its weights, keeps them.

    Attention stays in 16 bits unless the scheme names its role, as in "W8A8/attend=W16A8": then
    its operands are rounded, by the token or, static, by the head, and as `probabilities` and
    `shift_and_sum` say.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"activation"})

    range: str = "minmax"
    index: Index = "none"
    probabilities: Probabilities | None = None
    shift_and_sum: bool = False
    rows: int | None = None

    def __post_init__(self) -> None:
        range_rule(self.range)
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"a table of ranges has at least one row, got {self.rows}")

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether any activation has a static range."""
        inputs = [site.activation for site in scheme.sites]
        return any(each is not None and not each.dynamic for each in inputs)

    @torch.no_grad()
    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Put activation quantizers in."""
        pairs = [(site, s.activation) for site, s in chosen(pipeline, context)]
        wanted = [(site, scheme) for site, scheme in pairs if scheme is not None]
        attention = context.scheme.at(Role.ATTEND.value).activation
        if attention is not None:
            self._attention(pipeline, context, attention)
        # Observed before the first quantizer is in: ranges are those of unrounded activations.
        samples = self._observed(pipeline, context, wanted)
        for done, (site, scheme) in enumerate(wanted, start=1):
            layer = layer_of(pipeline.network, site.name)
            if not has_table(layer):
                quantizer = layer.quantize_activation(scheme)
                if site.name in samples:
                    self.fill(quantizer, samples[site.name], pipeline, site)
                    groups = group_ranges(samples[site.name], pipeline, site)
                    context.site_report(site.name)["input_ranges"] = groups
            context.site_report(site.name)["activation"] = str(scheme)
            context.progress("quantizing activations", done, len(wanted))

    def _attention(self, pipeline: Pipeline, context: Context, scheme: TensorScheme) -> None:
        attends = insert_attends(pipeline)
        grids: list[tuple[Grid, Grid, Grid] | None] = [None] * len(attends)
        if not scheme.dynamic:
            calls = context.calibrated("a static range of attention").calls
            rule = range_rule(self.range)
            grids = [h.grids(rule, scheme) for h in observe_heads(pipeline, calls, attends)]
        for attend, found in zip(attends, grids, strict=True):
            attend.quantize(
                scheme,
                grids=found,
                probabilities=self.probabilities,
                shift_and_sum=self.shift_and_sum,
            )
            entry = {"activation": str(scheme), "probabilities": self.probabilities or "16 bits"}
            context.site_report(attend.site.name).update(entry)

    def _observed(
        self,
        pipeline: Pipeline,
        context: Context,
        wanted: Sequence[tuple[Site, TensorScheme]],
    ) -> dict[str, StepSamples]:
        network = pipeline.network
        static = [
            site
            for site, scheme in wanted
            if not scheme.dynamic and not has_table(network.get_submodule(site.name))
        ]
        if not static:
            return {}
        calls = context.calibrated("a static activation range").calls
        return observe(pipeline, calls, static, StepSamples)

    def fill(
        self,
        quantizer: ActivationQuantizer,
        samples: StepSamples,
        pipeline: Pipeline,
        site: Site,
    ) -> None:
        """Set the static ranges of one site from what was seen of its input."""
        seen = samples.positions()
        row_of = self.table_rows(seen, site, pipeline)
        members = [
            [position for position, row in zip(seen, row_of, strict=True) if row == wanted]
            for wanted in range(max(row_of) + 1)
        ]
        try:
            grids = [self._row(samples.row(row), quantizer.scheme) for row in members]
        except ValueError as error:
            raise ValueError(f"the input of {site.name}: {error}") from error
        zeros = [grid.zero for grid in grids if grid.zero is not None]
        steps = pipeline.adapter.steps[net_of(site.name, pipeline.clocks)]
        device = next(pipeline.network.parameters()).device
        everywhere = torch.tensor(row_of)[nearest(seen, steps)]
        quantizer.set_table(
            torch.stack([grid.scale for grid in grids]).to(device),
            torch.stack(zeros).to(device) if zeros else None,
            everywhere.to(device) if len(members) > 1 else None,
        )

    def table_rows(self, seen: Sequence[int], site: Site, pipeline: Pipeline) -> list[int]:
        """The table row of each position that was `seen`, rows counted from 0, ascending."""
        # A vector that conditions all positions of a sequence at once has no row for each.
        shared = not site.tokens and pipeline.adapter.style == "autoregressive"
        if shared or self.index == "none":
            return [0] * len(seen)
        if self.index == "step" or not site.runs:
            count = min(self.rows or len(seen), len(seen))
            return [place * count // len(seen) for place in range(len(seen))]
        runs = [bisect_right(site.runs, position) for position in seen]
        numbers = {run: row for row, run in enumerate(dict.fromkeys(runs))}
        return [numbers[run] for run in runs]

    def _row(self, splits: Sequence[Tensor], scheme: TensorScheme) -> Grid:
        """The grids of one row of the table, one for each split."""
        rule = range_rule(self.range)
        grids = [rule(values.view(1, 1, -1), scheme.format, scheme.symmetric) for values in splits]
        zeros = [grid.zero.flatten() for grid in grids if grid.zero is not None]
        scale = torch.cat([grid.scale.flatten() for grid in grids])
        return Grid(scale, torch.cat(zeros) if zeros else None)


def group_ranges(
    samples: StepSamples, pipeline: Pipeline, site: Site
) -> list[dict[str, int | float]]:
    """What one range has to hold: the least and greatest input of each group of positions.

    Groups are the runs that the site declares, else up to `GROUPS` of neighbouring positions.
    """
    seen = samples.positions()
    rows = QuantizeActivations(index="run", rows=GROUPS).table_rows(seen, site, pipeline)
    groups = [[p for p, row in zip(seen, rows, strict=True) if row == r] for r in set(rows)]
    return [
        {
            "first": group[0],
            "last": group[-1],
            "low": min(float(split.min()) for split in samples.row(group)),
            "high": max(float(split.max()) for split in samples.row(group)),
        }
        for group in sorted(groups)
    ]


def has_table(layer: nn.Module) -> bool:
    """Whether the static ranges of `layer` are set."""
    quantizer = layer.activation if isinstance(layer, QuantLinear | QuantConv2d) else None
    return quantizer is not None and quantizer.table_scale is not None


def nearest(seen: Sequence[int], steps: int) -> Tensor:
    """For each of `steps` positions the place in `seen` of the nearest one; the earlier of two."""
    distance = torch.arange(steps)[:, None] - torch.tensor(seen)[None, :]
    return distance.abs().argmin(dim=1)
