"""Attention products: 16 bits by default, quantized when the scheme names them, and saved."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bitscape.artefacts import load, save
from bitscape.nn import HeadQuantizer, QuantAttend, quantized_sites
from bitscape.passes import Context, QuantizeActivations, run
from bitscape.passes.attention import insert_attends
from bitscape.passes.base import chosen
from bitscape.structure import Kind, Pipeline, invoke

Make = Callable[..., Context]


def attends(pipeline: Pipeline) -> list[QuantAttend]:
    sites = quantized_sites(pipeline.network).values()
    return [site for site in sites if isinstance(site, QuantAttend)]


def test_attention_keeps_16_bits_by_default(pipeline: Pipeline, context: Make) -> None:
    run([QuantizeActivations()], pipeline, context("W8A8,static"))
    assert not attends(pipeline)


@torch.no_grad()
@pytest.mark.parametrize("scheme", ["W8A8/attend=W16A8", "W8A8/attend=W16A8,static"])
def test_named_attention_is_rounded_and_comes_back_from_disk(
    scheme: str, pipeline: Pipeline, context: Make, tmp_path: Path
) -> None:
    step = QuantizeActivations(probabilities="logsqrt2", shift_and_sum=True)
    told = context(scheme)
    run([step], pipeline, told)
    found = attends(pipeline)
    assert found
    assert all(isinstance(a.q, HeadQuantizer) == scheme.endswith("static") for a in found)
    save(pipeline, {}, {}, tmp_path / "model")
    again, _ = load(tmp_path / "model")
    assert told.calibration is not None
    for call in {call.net: call for call in told.calibration.calls}.values():
        outputs = [invoke(p.network, p.clocks, call) for p in (pipeline, again)]
        assert torch.equal(*outputs)
        assert outputs[0].isfinite().all()


@pytest.mark.parametrize("pipeline", ["var", "llamagen"], indirect=True)
def test_named_attention_samples_from_its_cache(pipeline: Pipeline, context: Make) -> None:
    step = QuantizeActivations(probabilities="logsqrt2", shift_and_sum=True)
    run([step], pipeline, context("W8A8/attend=W16A8"))
    assert pipeline.latents(torch.arange(2), seed=0).isfinite().all()


def test_attention_that_is_a_site_already_is_found_and_not_put_into_itself(
    pipeline: Pipeline,
) -> None:
    first = insert_attends(pipeline)
    assert first
    assert insert_attends(pipeline) == first
    assert attends(pipeline) == first


def test_products_are_found_in_the_network_whoever_declares_them(
    pipeline: Pipeline, context: Make
) -> None:
    found = chosen(pipeline, context("W8A8/attend=W16A8"))
    assert found
    assert not any(site.kind is Kind.ATTEND for site, _ in found)
