"""How inputs spread: `python -m bitscape.reports.benchmark.ranges MODEL... --out FILE.md`.

A static range suffers from channels that are wider than others, and from groups of tokens (scales,
positions, denoising steps) that are. The table says of each layer how much of either it has, so
that a comparison of methods on a model claims no more than the model holds.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bitscape.api import load
from bitscape.calibration import Rows, RowSamples, observe, record
from bitscape.files import write_whole
from bitscape.nn import insert
from bitscape.structure import Kind, Pipeline


@dataclass(frozen=True)
class SiteRange:
    """The inputs of one layer: their range in each token group, and how unequal channels are.

    `channels` is the widest channel over the median one, over all groups.
    """

    site: str
    groups: tuple[float, ...]
    channels: float

    @property
    def unequal(self) -> float:
        """The widest group over the narrowest."""
        return max(self.groups) / max(min(self.groups), 1e-30)


def site_ranges(pipeline: Pipeline, count: int = 32) -> list[SiteRange]:
    """The ranges of every linear layer's inputs over `count` sampled trajectories."""
    network = pipeline.network
    sites = [s for s in pipeline.adapter.sites(network) if s.kind is Kind.LINEAR]
    labels = torch.arange(count) % pipeline.adapter.num_classes
    calls = record(pipeline, labels, seed=0).calls
    insert(network, sites, pipeline.clocks)
    found = observe(pipeline, calls, sites, RowSamples)
    return [_site_range(name, samples.rows()) for name, samples in found.items()]


def page(found: Sequence[tuple[str, Sequence[SiteRange]]]) -> str:
    """A sentence and a table for each model."""
    return "\n\n".join(part for name, ranges in found for part in _section(name, ranges)) + "\n"


def _site_range(site: str, rows: Rows) -> SiteRange:
    groups = rows.high.amax(1) - rows.low.amin(1)
    channels = rows.high.amax(0) - rows.low.amin(0)
    ratio = float(channels.max() / channels.median().clamp_min(1e-30))
    return SiteRange(site, tuple(groups.tolist()), ratio)


def _section(name: str, ranges: Sequence[SiteRange]) -> list[str]:
    groups = statistics.median(each.unequal for each in ranges)
    channels = statistics.median(each.channels for each in ranges)
    lines = [
        "| layer | range in each token group | widest / narrowest | widest / median channel |",
        "|---|---|---|---|",
        *(
            f"| {each.site} | {' '.join(f'{value:.3g}' for value in each.groups)} "
            f"| {each.unequal:.1f} | {each.channels:.1f} |"
            for each in ranges
        ),
    ]
    told = (
        f"{name}: the widest token group is {groups:.1f} times as wide as the narrowest, the "
        f"widest channel {channels:.1f} times as wide as the median one (medians over layers)."
    )
    return [told, "\n".join(lines)]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = [(name, site_ranges(load(name).pipeline)) for name in options.models]
    write_whole(options.out, page(found).encode())


if __name__ == "__main__":
    main()
