"""Sampled inputs of sites, a block at a time: the rows of all sites together would fill memory."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from bitscape.calibration import RowSamples, observe, stream
from bitscape.passes.quantize_weights import sites_inside
from bitscape.structure import Call, Pipeline, Site


def sampled_inputs(
    pipeline: Pipeline, calls: Sequence[Call], sites: Iterable[Site], limit: int
) -> Iterator[tuple[Site, RowSamples]]:
    """Each of `sites` with up to `limit` rows of its inputs over all `calls`.

    Block by block, so that what the caller changes in a block is seen by the later ones, then those
    of no block in one sweep of the whole network.
    """
    left = {site.name: site for site in sites}
    sample = partial(RowSamples, limit=limit)
    blocks = pipeline.adapter.blocks(pipeline.network)
    for unit in stream(pipeline.network, pipeline.clocks, blocks, calls):
        inside = {name: left.pop(name) for name in sites_inside(unit.block, list(left))}
        seen = {name: sample(site) for name, site in inside.items()}
        unit.observe(seen)
        yield from ((inside[name], kept) for name, kept in seen.items())
    outside = observe(pipeline, calls, left.values(), sample)
    yield from ((left[name], kept) for name, kept in outside.items())
