"""Nested weights: one file no larger than its widest model, read at each of its widths."""

from pathlib import Path

import pytest
import torch

from bitscape import api
from bitscape.formats import Int
from bitscape.models import FAMILIES
from bitscape.nn import QuantLinear, quantized_sites
from bitscape.recipes import Calibration, Recipe
from bitscape.runtime import pack_network

FEW = {"start": "rtn", "steps": 2, "batch": 4}


def recipe(method: str, scheme: str, **options: object) -> Recipe:
    few = Calibration(samples=4, batch=4)
    return Recipe(name="few", method=method, scheme=scheme, options=options, calibration=few)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VAR with nested codes."""
    out = tmp_path_factory.mktemp("nested") / "out"
    model = api.Model(FAMILIES["var"].tiny())
    api.distill(model, recipe("matryoshka", "W4A8", **FEW), out=out)
    return out


def test_what_is_kept_at_one_width_is_the_artefact_read_at_it(artefact: Path) -> None:
    model = api.Model(FAMILIES["var"].tiny())
    kept = api.distill(model, recipe("matryoshka", "W4A8", read=2, **FEW)).pipeline.network
    read = api.load(artefact, kernel="none", bits=2).pipeline.network.state_dict()
    for name, tensor in kept.state_dict().items():
        torch.testing.assert_close(tensor, read[name])


def test_one_file_is_as_small_as_the_widest_model(artefact: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    api.quantize(api.Model(FAMILIES["var"].tiny()), recipe("rtn", "W4A8"), out=plain)
    name = "model.safetensors"
    assert (artefact / name).stat().st_size <= 1.03 * (plain / name).stat().st_size


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_a_width_is_a_model_of_that_width_on_its_kernels(artefact: Path, bits: int) -> None:
    whole = quantized_sites(api.load(artefact, kernel="none").pipeline.network)
    narrow = api.load(artefact, kernel="none", bits=bits).pipeline
    step = 1 << (4 - bits)
    gains = api.load(artefact).report["method"]["nested"]
    for name, layer in quantized_sites(narrow.network).items():
        wide = whole[name]
        assert isinstance(layer, QuantLinear) and isinstance(wide, QuantLinear)
        assert layer.coded is not None and wide.coded is not None
        assert layer.coded.scheme.format == Int(bits)
        integers = wide.coded.codes.float() - 8
        expected = (integers / step + 0.5).floor().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        scale = wide.coded.grid_scale.view(-1, 1) * step * gains[str(bits)][name]
        torch.testing.assert_close(layer.effective_weight(), expected * scale)
    reference = narrow.latents(torch.arange(2), seed=0)
    pack_network(narrow.network, kernel="reference")
    torch.testing.assert_close(narrow.latents(torch.arange(2), seed=0), reference)


def test_a_width_saved_by_itself_is_a_smaller_model_of_that_width(
    artefact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "narrow"
    with pytest.raises(ValueError, match="load it with kernel='none' to save it"):
        api.load(artefact, bits=2).save(out)
    api.load(artefact, bits=2, kernel="none").save(out)
    name = "model.safetensors"
    assert (out / name).stat().st_size < 0.9 * (artefact / name).stat().st_size
    again, read = api.load(out, kernel="none"), api.load(artefact, bits=2, kernel="none")
    for key, tensor in read.pipeline.network.state_dict().items():
        assert torch.equal(again.pipeline.network.state_dict()[key], tensor)
    assert again.report["weight_bytes"] == read.report["weight_bytes"]
    assert again.recipe == read.recipe and again.recipe["options"]["read"] == 2
    with pytest.raises(ValueError, match="its own width alone"):
        api.load(out, bits=3)


def test_other_widths_and_other_artefacts_are_refused(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read at 2 or 3 or 4, not at 5"):
        api.load(artefact, bits=5)
    with pytest.raises(ValueError, match="no artefact"):
        api.load("zoo:var-s", bits=2)
