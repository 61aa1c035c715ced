"""Every method at several schemes: it runs, is finite and repeatable, and earns its keep.

That every method takes every family is tested in `test_matrix`, at one scheme.
"""

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet, record, stream
from bitscape.formats import parse_scheme
from bitscape.methods import METHODS
from bitscape.models import FAMILIES
from bitscape.passes import Context, run
from bitscape.recipes import Recipe
from bitscape.structure import Pipeline

pytestmark = pytest.mark.unchecked

SCHEMES = ["W8A8", "W4A16", "W3A16,asym", "W4A8@g8", "W8A8,static", "FP8", "We2m1A6"]
# Methods that refine the two plain ones are tried at fewer of them, and where they differ.
OWN = {
    "gptvq": ["W3A16,vq2d", "W2A8,vq4d/ada=W8A16"],
    "mixed": ["W4A8@g8", "W4A16,asym/head=W8A16"],
    "dilatequant": ["W6A6,static"],
    "dilatequant-faithful": ["W4A8,static"],
    "quest": ["W6A6,static"],
    "efficientdm": ["W6A6,static"],
    "topkld": ["W4A8@g8"],
    "robuq": ["WternaryA4"],
    "matryoshka": ["W4A8@g8"],
}
# Where these end is up to their training, one step of which is as good as none.
TRAINED = ("topkld", "robuq", "matryoshka")
QUICK = {
    "mpq-dm": {"steps": 2},
    "mpq-dm-faithful": {"steps": 2},
    "adaround": {"steps": 4},
    "omniquant": {"steps": 4},
    "dilatequant": {"steps": 2, "finetune": 2},
    "dilatequant-faithful": {"steps": 2},
    "quest": {"steps": 2},
    "efficientdm": {"steps": 2, "batch": 4},
    "svdquant": {"rounds": 2},
    "mixed": {"bits": (2, 4, 8)},
    "topkld": {"steps": 1, "batch": 4, "start": "rtn"},
    "robuq": {"steps": 1, "batch": 4},
    "matryoshka": {"steps": 1, "batch": 4, "start": "rtn"},
}
REFINED = ["W4A8@g8", "W8A8,static", "We2m1A6"]
CASES = [
    (method, scheme)
    for method in METHODS
    for scheme in OWN.get(method, SCHEMES if method in ("rtn", "gptq") else REFINED)
]
# The first scheme of each method.
REPEATED = dict(reversed(CASES))


def quantized(method: str, scheme: str, pipeline: Pipeline, data: CalibrationSet) -> Pipeline:
    result = copy.deepcopy(pipeline)
    run(
        METHODS[method](**QUICK.get(method, {})).passes(),
        result,
        Context(parse_scheme(scheme), data),
    )
    return result


@pytest.fixture(scope="module", params=["var", "dit"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    return FAMILIES[request.param].tiny()


@pytest.fixture(scope="module")
def data(pipeline: Pipeline) -> CalibrationSet:
    return record(pipeline, range(8), seed=5, batch=4, keep=3)


@pytest.mark.parametrize(("method", "scheme"), CASES)
def test_method_runs_and_repeats_itself(
    method: str, scheme: str, pipeline: Pipeline, data: CalibrationSet
) -> None:
    state, latents = outcome(method, scheme, pipeline, data)
    assert torch.isfinite(latents).all()
    if scheme != REPEATED[method]:
        return
    again, same = outcome(method, scheme, pipeline, data)
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert torch.equal(latents, same)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in TRAINED])
def test_eight_bits_change_little_and_fewer_change_more(
    method: str, pipeline: Pipeline, data: CalibrationSet
) -> None:
    plain = method in ("rtn", "gptq")
    errors = [
        sum(block_errors(pipeline, quantized(method, scheme, pipeline, data), data))
        for scheme in (("W8A16", "W6A16", "W4A16", "W2A16") if plain else ("W8A16", "W3A16"))
    ]
    assert errors == sorted(errors)
    assert errors[0] < 1e-3


@pytest.mark.parametrize("scheme", ["W3A16,vq2d", "We2m1A16", "WternaryA8", "MXFP4", "W16A8"])
@pytest.mark.parametrize("method", METHODS)
def test_recipe_of_what_a_method_cannot_write_names_those_that_can(
    method: str, scheme: str
) -> None:
    able = [name for name, other in METHODS.items() if other().takes(parse_scheme(scheme))]
    assert able
    if method in able:
        Recipe(name="mine", method=method, scheme=scheme)
        return
    reason = f"{method} cannot write the weights of {scheme} .*: choose {' or '.join(able)}"
    with pytest.raises(ValueError, match=reason):
        Recipe(name="mine", method=method, scheme=scheme)


def test_methods_take_every_scheme_that_they_are_tried_at() -> None:
    assert all(METHODS[method]().takes(parse_scheme(scheme)) for method, scheme in CASES)


@pytest.mark.parametrize("scheme", ["W4A16", "W4A16,asym", "W3A16", "W3A16,asym", "W3A16@g8"])
def test_gptq_beats_rtn_in_every_block(
    scheme: str, pipeline: Pipeline, data: CalibrationSet
) -> None:
    rtn, gptq = (
        block_errors(pipeline, quantized(method, scheme, pipeline, data), data)
        for method in ("rtn", "gptq")
    )
    # A block without a site in the scheme, such as a U-Net's first convolution, is exact in both.
    assert all(b < w or b == w == 0 for b, w in zip(gptq, rtn, strict=True))


def outcome(
    method: str, scheme: str, pipeline: Pipeline, data: CalibrationSet
) -> tuple[Mapping[str, Tensor], Tensor]:
    """What the method leaves in the network, and what is sampled from it."""
    few = {"steps": 3} if pipeline.adapter.style == "diffusion" else {}
    model = quantized(method, scheme, pipeline, data)
    with torch.no_grad():
        return model.network.state_dict(), model.latents(torch.arange(2), seed=0, **few)


@torch.no_grad()
def block_errors(full: Pipeline, model: Pipeline, data: CalibrationSet) -> list[float]:
    """The relative squared error of each block's output, both streams starting from the data."""
    blocks = full.adapter.blocks(full.network)
    outputs: list[list[tuple[Tensor, ...]]] = []
    for pipeline in (full, model):
        units = stream(pipeline.network, pipeline.clocks, blocks, data.calls)
        outputs.append([unit.run() for unit in units])
    return [
        float(sum((a - b).square().sum() for a, b in zip(xs, ys, strict=True)))
        / float(sum(a.square().sum() for a in xs))
        for xs, ys in zip(*outputs, strict=True)
    ]
