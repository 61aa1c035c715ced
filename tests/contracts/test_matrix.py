"""Every method on every family, cheaply: it quantizes, samples, and replays what it generated.

VAR and DiT meet every method in `test_methods`, at several schemes, and not here once more.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from bitscape.calibration import CalibrationSet, record
from bitscape.formats import parse_scheme
from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes import Context, run, weight_sites
from bitscape.structure import Call, Pipeline, invoke

# What methods call is checked in the tests of passes, which run over the families too.
pytestmark = pytest.mark.unchecked

# Tiny models are narrower than the groups of the schemes that recipes are made of.
SCHEME = {"gptvq": "W3A16,vq2d"}
QUICK = {
    "mpq-dm": {"steps": 2},
    "mpq-dm-faithful": {"steps": 2},
    "adaround": {"steps": 2},
    "omniquant": {"steps": 2},
    "dilatequant": {"steps": 1, "greedy": False, "finetune": 1},
    "efficientdm": {"steps": 2, "batch": 4},
    "svdquant": {"rounds": 2},
    "mixed": {"bits": (2, 6)},
    "topkld": {"steps": 1, "batch": 4, "start": "rtn"},
}
# These are others with other settings, or the start of one and the training of another.
COMPOSED = ("robuq", "matryoshka", "dilatequant-faithful", "quest")
Calibrated = Callable[[str], tuple[Pipeline, CalibrationSet]]
FEW = {"diffusion": {"steps": 2}, "autoregressive": {}}


@pytest.fixture(scope="module")
def calibrated() -> Calibrated:
    """A function from a family to its tiny pipeline and a calibration set, each made once."""

    @cache
    def made(family: str) -> tuple[Pipeline, CalibrationSet]:
        pipeline = FAMILIES[family].tiny()
        return pipeline, record(pipeline, range(4), seed=5, batch=4, keep=2, **few(pipeline))

    return made


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("var", "dit")])
@pytest.mark.parametrize("method", [name for name in METHODS if name not in COMPOSED])
def test_method_quantizes_every_site_and_samples(
    method: str, family: str, calibrated: Calibrated
) -> None:
    pipeline, data = calibrated(family)
    scheme = SCHEME.get(method, "W4A8")
    model = quantized(method, scheme, pipeline, data)
    for site, _ in weight_sites(pipeline, parse_scheme(scheme)):
        layer = model.network.get_submodule(site.name)
        assert isinstance(layer, QuantLinear | QuantConv2d)
        assert layer.coded is not None
    latents = [sampled(each) for each in (model, pipeline)]
    assert latents[0].shape == latents[1].shape
    assert latents[0].isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_quantized_model_replays_what_it_generated(family: str, calibrated: Calibrated) -> None:
    pipeline, data = calibrated(family)
    model = quantized("rtn", "W8A8,static", pipeline, data)
    calls: list[Call] = []
    outputs: list[torch.Tensor] = []

    def tap(call: Call, output: torch.Tensor) -> None:
        calls.append(call)
        outputs.append(output)

    model.latents(torch.tensor([0, 3]), seed=2, tap=tap, **few(model))
    replayed = model.adapter.replay(calls)
    got = [invoke(model.network, model.clocks, call) for call in replayed]
    if len(replayed) < len(calls):
        got, outputs = [torch.cat(got, dim=1)], [torch.cat(outputs, dim=1)]
    # A rounding that falls the other way moves one activation by a 256th of its range.
    torch.testing.assert_close(got, outputs, rtol=1e-2, atol=1e-2)


def quantized(method: str, scheme: str, pipeline: Pipeline, data: CalibrationSet) -> Pipeline:
    result = copy.deepcopy(pipeline)
    passes = METHODS[method](**QUICK.get(method, {})).passes()
    run(passes, result, Context(parse_scheme(scheme), data))
    return result


@torch.no_grad()
def sampled(pipeline: Pipeline) -> torch.Tensor:
    return pipeline.latents(torch.arange(2), seed=0, **few(pipeline))


def few(pipeline: Pipeline) -> dict[str, Any]:
    return FEW[pipeline.adapter.style]
