"""Activation quantizers: dynamic, static, by step, and where none belongs."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn

from bitscape.calibration import StepSamples, observe, record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear, insert, quantized_sites
from bitscape.passes import Context, QuantizeActivations, run
from bitscape.passes.base import chosen
from bitscape.passes.quantize_activations import GROUPS, nearest
from bitscape.structure import Pipeline, Role, net_of

Make = Callable[..., Context]


def activations(pipeline: Pipeline) -> dict[str, QuantLinear | QuantConv2d]:
    layers = quantized_sites(pipeline.network)
    return {
        n: la
        for n, la in layers.items()
        if isinstance(la, QuantLinear | QuantConv2d) and la.activation
    }


def test_the_modulation_keeps_its_activations(pipeline: Pipeline, context: Make) -> None:
    run([QuantizeActivations()], pipeline, context("W8A8"))
    roles = {layer.site.role for layer in activations(pipeline).values()}
    assert Role.QKV in roles
    assert Role.ADA not in roles


def test_full_precision_activations_get_no_quantizer(pipeline: Pipeline, context: Make) -> None:
    run([QuantizeActivations()], pipeline, context("W4A16"))
    assert not activations(pipeline)


def test_static_range_covers_all_that_was_recorded(pipeline: Pipeline, context: Make) -> None:
    told = context("W8A8,static/ada=W8A8,static")
    assert told.calibration is not None
    insert(pipeline.network, pipeline.adapter.sites(pipeline.network), pipeline.clocks)
    sites = [site for site, _ in chosen(pipeline, told)]
    samples = observe(pipeline, told.calibration.calls, sites, StepSamples)
    run([QuantizeActivations()], pipeline, told)
    assert len(activations(pipeline)) == len(sites)
    for name, layer in activations(pipeline).items():
        quantizer = layer.activation
        assert quantizer is not None
        assert quantizer.table_scale is not None
        assert quantizer.table_zero is not None
        assert quantizer.table_scale.shape == (1, len(layer.site.splits) or 1)
        splits = samples[name].row(samples[name].positions())
        for i, values in enumerate(splits):
            slack, zero = float(quantizer.table_scale[0, i]), float(quantizer.table_zero[0, i])
            assert -zero * slack <= min(float(values.min()), 0) + slack
            assert (255 - zero) * slack >= max(float(values.max()), 0) - slack


def test_the_report_tells_the_range_of_each_group_of_positions(
    pipeline: Pipeline, context: Make
) -> None:
    told = context("W8A8,static")
    run([QuantizeActivations()], pipeline, told)
    for layer in activations(pipeline).values():
        groups = told.report["sites"][layer.site.name]["input_ranges"]
        steps = pipeline.adapter.steps[net_of(layer.site.name, pipeline.clocks)]
        runs = {0, *layer.site.runs}
        assert len(groups) == (len(runs) if layer.site.runs else min(GROUPS, steps))
        assert all(a["last"] < b["first"] for a, b in pairwise(groups))
        quantizer = layer.activation
        assert quantizer is not None
        assert quantizer.table_scale is not None
        if not layer.site.splits:
            low, high = min(g["low"] for g in groups), max(g["high"] for g in groups)
            # One range for all groups is as wide as the widest of them together.
            assert max(high, 0) - min(low, 0) == pytest.approx(255 * float(quantizer.table_scale))


def test_steps_have_ranges_of_their_own(pipeline: Pipeline, context: Make) -> None:
    run([QuantizeActivations(index="step")], pipeline, context("W8A8,static/ada=W8A8,static"))
    for name, layer in activations(pipeline).items():
        quantizer = layer.activation
        steps = pipeline.adapter.steps[net_of(name, pipeline.clocks)]
        assert quantizer is not None
        assert quantizer.table_scale is not None
        if quantizer.row_of is None:
            assert not layer.site.tokens
            assert quantizer.table_scale.shape == (1, 1)
        else:
            assert quantizer.row_of.shape == (steps,)
            assert int(quantizer.row_of.max()) == len(quantizer.table_scale) - 1
    latents = pipeline.latents(torch.arange(2), seed=0)
    assert torch.isfinite(latents).all()


def test_a_step_never_seen_takes_the_nearest_one() -> None:
    assert nearest([1, 4, 9], 11).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_static_ranges_need_calibration(pipeline: Pipeline, context: Make) -> None:
    static, dynamic = context("W8A8,static").scheme, context("W8A8").scheme
    assert QuantizeActivations().needs_calibration(static)
    assert not QuantizeActivations().needs_calibration(dynamic)
    with pytest.raises(ValueError, match="static activation range needs calibration"):
        run([QuantizeActivations()], pipeline, Context(static))


def test_another_sampler_reads_the_rows_of_the_nearest_timesteps() -> None:
    pipeline = FAMILIES["dit"].tiny()
    data = record(pipeline, [0, 1], seed=7, batch=2)
    run(
        [QuantizeActivations(index="step")],
        pipeline,
        Context(parse_scheme("W8A8,static"), data),
    )
    seen = torch.tensor(sorted({int(call.step) for call in data.calls}))
    layer = pipeline.network.get_submodule("blocks.0.mlp.fc1")
    assert isinstance(layer, QuantLinear)
    quantizer = layer.activation
    assert quantizer is not None and quantizer.table_scale is not None
    assert len(quantizer.table_scale) == len(seen)
    found: list[tuple[int, int]] = []

    def watch(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        found.append((int(quantizer.clock.read()), int(quantizer.rows())))

    hook = quantizer.register_forward_pre_hook(watch)
    with torch.no_grad():
        pipeline.latents(torch.arange(2), seed=0, steps=7)
    hook.remove()
    assert len({t for t, _ in found}) == 7
    for t, row in found:
        assert abs(int(seen[row]) - t) == int((seen - t).abs().min())


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_neighbouring_steps_share_a_row_under_a_bound(rows: int) -> None:
    pipeline = FAMILIES["dit"].tiny()
    site = pipeline.adapter.sites(pipeline.network)[1]
    found = QuantizeActivations(index="step", rows=rows).table_rows(range(0, 70, 7), site, pipeline)
    assert found == sorted(found)
    assert set(found) == set(range(min(rows, 10)))
    sizes = [found.count(row) for row in set(found)]
    assert max(sizes) - min(sizes) <= 1
    with pytest.raises(ValueError, match="at least one row, got 0"):
        QuantizeActivations(rows=0)
