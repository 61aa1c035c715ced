"""Attention products: 16 bits by default, quantized when the scheme names them, and saved."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bitscape.artefacts import load, save
from bitscape.models import FAMILIES
from bitscape.nn import HeadQuantizer, QuantAttend, quantized_sites
from bitscape.passes import Context, QuantizeActivations, run
from bitscape.structure import Pipeline

Make = Callable[..., Context]


@pytest.fixture(params=["var", "llamagen"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return FAMILIES[request.param].tiny()


def attends(pipeline: Pipeline) -> list[QuantAttend]:
    sites = quantized_sites(pipeline.network).values()
    return [site for site in sites if isinstance(site, QuantAttend)]


def test_attention_keeps_16_bits_by_default(pipeline: Pipeline, context: Make) -> None:
    run([QuantizeActivations()], pipeline, context("W8A8,static"))
    assert not attends(pipeline)


@pytest.mark.parametrize("scheme", ["W8A8/attend=W16A8", "W8A8/attend=W16A8,static"])
def test_named_attention_is_rounded_and_comes_back_from_disk(
    scheme: str, pipeline: Pipeline, context: Make, tmp_path: Path
) -> None:
    step = QuantizeActivations(probabilities="logsqrt2", shift_and_sum=True)
    run([step], pipeline, context(scheme))
    found = attends(pipeline)
    assert found
    assert all(isinstance(a.q, HeadQuantizer) == scheme.endswith("static") for a in found)
    save(pipeline, {}, {}, tmp_path / "model")
    again, _ = load(tmp_path / "model")
    latents = [each.latents(torch.arange(2), seed=0) for each in (pipeline, again)]
    assert torch.equal(*latents)
    assert latents[0].isfinite().all()
