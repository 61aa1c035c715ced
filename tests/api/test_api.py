"""The Python interface, on a zoo of random weights."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import bitscape
from bitscape import api
from bitscape.evaluation import fingerprint
from bitscape.nn import quantized_sites

SCRIPT = Path(__file__).parents[1] / "cli" / "untrained_zoo.py"
NAMES = ("zoo:var-xs", "zoo:dit-xs")


@pytest.fixture(autouse=True)
def untrained_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, stand_in in runpy.run_path(str(SCRIPT))["STAND_INS"]:
        monkeypatch.setattr(module, name, stand_in)


def test_the_package_offers_its_interface() -> None:
    assert bitscape.__all__ == ["Model", "distill", "evaluate", "load", "quantize"]
    assert all(getattr(bitscape, name) is getattr(api, name) for name in bitscape.__all__)
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        bitscape.quantise  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_quantizing_leaves_the_model_as_it_is(name: str) -> None:
    model = bitscape.load(name)
    before = fingerprint(model.pipeline.network)
    small = bitscape.quantize(model, "rtn-w4a16")
    assert fingerprint(model.pipeline.network) == before
    assert small.recipe is not None and small.recipe["name"] == "rtn-w4a16"
    assert all(layer["scheme"] == "int4@channel x 16" for layer in small.report["layers"])
    assert not quantized_sites(model.pipeline.network)


@pytest.mark.parametrize("recipe", ["rtn-w4a16", "rtn-w8a8"])
@pytest.mark.parametrize("name", NAMES)
def test_artefact_samples_what_the_quantized_model_samples(
    name: str, recipe: str, tmp_path: Path
) -> None:
    out = tmp_path / "d"
    small = bitscape.quantize(bitscape.load(name), recipe, seed=1)
    small.save(out)
    images = small.sample([0, 5], seed=2)
    assert images.dtype == np.uint8 and images.shape == (2, 32, 32, 3)
    # The packed reference is bit for bit the fake-quantized network.
    assert np.array_equal(bitscape.load(out, kernel="none").sample([0, 5], seed=2), images)
    packed = bitscape.load(out, kernel="reference")
    assert np.array_equal(packed.sample([0, 5], seed=2), images)
    assert {choice.kernel for choice in packed.choices} == {"dequant"}


def test_out_gives_the_same_as_save(tmp_path: Path) -> None:
    model = bitscape.load("zoo:dit-xs")
    written = bitscape.quantize(model, "rtn-w8a8", out=tmp_path / "a")
    bitscape.quantize(model, "rtn-w8a8").save(tmp_path / "b")
    assert written.source == tmp_path / "a"
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_packed_model_is_saved_by_copying(tmp_path: Path) -> None:
    bitscape.quantize(bitscape.load("zoo:dit-xs"), "rtn-w4a16", out=tmp_path / "a")
    packed = bitscape.load(tmp_path / "a")
    assert packed.choices
    packed.save(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    with pytest.raises(FileExistsError):
        packed.save(tmp_path / "b")


def test_full_precision_is_saved_and_loaded_too(tmp_path: Path) -> None:
    model = bitscape.load("zoo:var-xs")
    model.save(tmp_path / "a")
    again = bitscape.load(tmp_path / "a")
    assert again.recipe is None
    assert np.array_equal(again.sample(2, seed=1), model.sample(2, seed=1))


def test_conditions() -> None:
    model = bitscape.load("zoo:var-xs")
    assert model.labels(12) == [*range(10), 0, 1]
    assert np.array_equal(model.sample(2), model.sample([0, 1]))
    with pytest.raises(ValueError, match="not prompts"):
        model.sample("a red heart")
    with pytest.raises(ValueError, match="at least 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="out of range"):
        model.sample([10])
    with pytest.raises(ValueError, match="no classes given"):
        model.labels([])


def test_dtype_of_the_computation() -> None:
    model = bitscape.load("zoo:dit-xs", dtype="bfloat16")
    assert next(model.pipeline.network.parameters()).dtype == torch.bfloat16
    exact = bitscape.load("zoo:dit-xs").sample(2).astype(int)
    assert np.abs(model.sample(2).astype(int) - exact).mean() < 3
    with pytest.raises(ValueError, match="float8"):
        bitscape.load("zoo:dit-xs", dtype="float8")


def test_models_are_compared_with_one_sampler() -> None:
    """A recipe may change the sampler of its result: what is compared is the quantization."""
    reference, model = (api.load("zoo:dit-xs") for _ in range(2))
    model.pipeline.sampler = {**model.pipeline.sampler, "steps": 2, "guidance": 3.0}
    found = api.compare(reference, model, [0, 1])
    assert found.numbers["identical_images"] == 1 and found.numbers["psnr"] is None
    assert found.numbers["sampler"] == model.pipeline.sampler != reference.pipeline.sampler
