"""Sampled inputs of sites: those of blocks as they run, those of no block at the end."""

import copy

import torch

from bitscape.calibration import CalibrationSet, RowSamples, observe, record
from bitscape.models import FAMILIES
from bitscape.nn import insert
from bitscape.passes.sampled_inputs import sampled_inputs
from bitscape.passes.site_weight import layer_of
from bitscape.structure import Kind, Pipeline, Site


def tiny() -> tuple[Pipeline, CalibrationSet, list[Site]]:
    """A DiT whose sites can be watched, its calls, and its sites that have weights."""
    pipeline = FAMILIES["dit"].tiny()
    data = record(pipeline, range(2), seed=5, batch=2, steps=2)
    sites = [s for s in pipeline.adapter.sites(pipeline.network) if s.kind is not Kind.ATTEND]
    insert(pipeline.network, sites, pipeline.clocks)
    return pipeline, data, sites


def test_every_site_is_seen_once_as_in_the_whole_network() -> None:
    pipeline, data, sites = tiny()
    sampled = sampled_inputs(pipeline, data.calls, sites, 64)
    found = {site.name: kept.rows() for site, kept in sampled}
    assert found.keys() == {site.name for site in sites}
    whole = observe(pipeline, data.calls, sites, lambda site: RowSamples(site, limit=64))
    for name, kept in whole.items():
        torch.testing.assert_close(found[name].X, kept.rows().X)


def test_later_blocks_see_what_was_changed_before_them() -> None:
    plain, data, sites = tiny()
    edited = copy.deepcopy(plain)
    seen: dict[str, bool] = {}
    pairs = zip(
        sampled_inputs(plain, data.calls, sites, 64),
        sampled_inputs(edited, data.calls, sites, 64),
        strict=True,
    )
    for (site, ours), (_, theirs) in pairs:
        seen[site.name] = torch.equal(ours.rows().X, theirs.rows().X)
        with torch.no_grad():
            layer_of(edited.network, site.name).weight.mul_(1.5)
    first, *later = [names for names in blocks_of(plain, seen) if names]
    assert all(seen[name] for name in first)
    assert not all(seen[name] for names in later for name in names)


def blocks_of(pipeline: Pipeline, names: dict[str, bool]) -> list[list[str]]:
    """The sites of each block, in order."""
    blocks = pipeline.adapter.blocks(pipeline.network)
    return [[name for name in names if name.startswith(f"{block.name}.")] for block in blocks]
