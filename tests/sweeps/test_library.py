"""Sweeps with the real library on every family's tiny model."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bitscape import api
from bitscape.evaluation import EvaluationProtocol
from bitscape.laws import RunRecord, load
from bitscape.models import FAMILIES
from bitscape.recipes import Recipe, find_recipe
from bitscape.recipes.recipe import Calibration
from bitscape.sweeps import RECORDS, Grid, estimate, from_grid, library, sweep
from bitscape.sweeps.grid import Cell, Evaluation
from bitscape.sweeps.library import LibraryRunner
from bitscape.zoo.protocol import real_latents

SMALL = {"n": 20, "seeds": [0], "losses": 8, "paths": 4, "shard": 10}
SIDE = 16
UNFIT = "rtn-w4a16@g1000"
"""A recipe whose groups divide no width here."""


class ToyExtractor(nn.Module):
    """Random projections of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.register_buffer("project", torch.randn(SIDE * SIDE * 3, 10, generator=generator))

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1).float() / 255 @ self.project

    def logits(self, features: Tensor) -> Tensor:
        return features


def draw(indices: range) -> tuple[Tensor, Tensor]:
    rows = [torch.Generator().manual_seed(i) for i in indices]
    images = torch.stack([torch.rand(3, SIDE, SIDE, generator=g) for g in rows])
    return images * 2 - 1, torch.as_tensor(indices) % 10


@pytest.fixture(scope="module")
def toy_protocol() -> EvaluationProtocol:
    return EvaluationProtocol("toy", ToyExtractor(), draw, real_latents, 10, real=30)


@pytest.fixture(scope="module", autouse=True)
def tiny_models(toy_protocol) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "load", lambda name: api.Model(FAMILIES[name].tiny()))
        patch.setattr(from_grid, "known_names", lambda: list(FAMILIES))
        patch.setattr(from_grid, "shapes_protocol", lambda: toy_protocol)
        yield


def write_grid(folder: Path, family: str) -> Path:
    path = folder / "grid.yaml"
    grid = {"models": [family], "recipes": ["full-precision", "rtn-w4a16", UNFIT]}
    path.write_text(json.dumps(grid | {"evaluations": [SMALL]}))
    return path


@pytest.fixture(scope="module", params=FAMILIES)
def runs(request, tmp_path_factory) -> Path:
    """The folder of one finished sweep."""
    folder = tmp_path_factory.mktemp(request.param)
    sweep([write_grid(folder, request.param)], folder / "runs")
    return folder / "runs"


@pytest.fixture
def records(runs) -> dict[str, RunRecord]:
    """Its records, by recipe."""
    return {record.recipe: record for record in load(runs / RECORDS)}


def test_records_hold_the_costs_and_the_quality(records) -> None:
    full, small = records["full-precision"], records["rtn-w4a16"]
    assert (full.method, full.scheme) == ("none", "W16A16")
    assert (small.method, small.scheme) == ("rtn", "W4A16")
    assert full.bits.nominal_weight == full.bits.actual_weight == 16
    assert full.bits.nominal_model == full.bits.actual_model == 16 * full.parameters
    # Exactly a quarter where the scheme names every site; some families keep roles at 16 bits.
    assert 4 <= small.bits.nominal_weight < small.bits.actual_weight
    assert full.bits.compute / 4 <= small.bits.compute < full.bits.compute / 2
    loss = FAMILIES[small.family].tiny().adapter.loss_name
    assert small.quality.metrics[loss]["difference"]["standard_error"] > 0
    partner = small.quality.metrics["full_precision"]["fd_shapes"]
    assert partner == full.quality.metrics["full_precision"]["fd_shapes"]


def test_a_recipe_that_does_not_fit_fails_its_cell_only(records) -> None:
    assert records[UNFIT].status == "failed"
    assert "groups of 1000 do not divide" in records[UNFIT].reason


def test_only_the_samples_of_full_precision_stay(runs) -> None:
    kept = {path.name for path in (runs / "work").iterdir()}
    assert len(kept - {"reference", "locks"}) == 1


def test_the_estimate_samples_but_leaves_nothing_behind(tmp_path) -> None:
    found = estimate([write_grid(tmp_path, "dit")], tmp_path / "runs")
    assert found.cells == 3
    assert found.seconds > 0
    assert found.unready == ()
    assert found.disk_bytes > 0
    assert not (tmp_path / "runs").exists()


def test_models_are_made_once_for_neighbouring_cells(toy_protocol, tmp_path, monkeypatch) -> None:
    made = []
    quantize = api.quantize
    monkeypatch.setattr(
        api, "quantize", lambda *words, **options: made.append(1) or quantize(*words, **options)
    )
    evaluations = [SMALL, SMALL | {"sampler": {"guidance": 0.5}}]
    grid = Grid(models=("var",), recipes=("rtn-w4a16",), seeds=(0, 1), evaluations=evaluations)
    runner = LibraryRunner(toy_protocol, tmp_path)
    first, second = (runner.run(cell) for cell in grid.cells(tmp_path)[:2])
    assert len(made) == 1
    assert first.quality.metrics["fd_shapes"] != second.quality.metrics["fd_shapes"]
    assert first.quality.metrics["nll"] == second.quality.metrics["nll"]
    runner.run(grid.cells(tmp_path)[2])
    assert len(made) == 2


def test_recipes_of_equal_needs_share_what_was_recorded(
    toy_protocol, tmp_path, monkeypatch
) -> None:
    made = []
    recorded = library.recorded
    monkeypatch.setattr(
        library, "recorded", lambda *words, **options: made.append(1) or recorded(*words, **options)
    )
    grid = Grid(models=("var",), recipes=("gptq-w4a16", "rtn-w8a8-static", "gptq-w3a16"))
    for cell in grid.cells(tmp_path):
        # A fresh runner each: what is shared lies on the disk.
        runner = pickle.loads(pickle.dumps(LibraryRunner(toy_protocol, tmp_path)))
        runner.full(cell)
        runner.quantized(cell, find_recipe(cell.recipe))
    assert len(made) == 1


def test_the_seed_of_a_cell_is_that_of_its_recording_and_its_method(toy_protocol, tmp_path) -> None:
    recipe = Recipe(
        name="turned",
        method="quarot",
        scheme="W4A8",
        calibration=Calibration(samples=2, batch=2, keep=1),
    )
    runner = LibraryRunner(toy_protocol, tmp_path)
    first, second = (
        runner.quantized(Cell("var", recipe.name, seed, Evaluation()), recipe)[0] for seed in (0, 1)
    )
    alone = api.quantize(api.load("var"), recipe, seed=1)
    assert second.report == alone.report
    zeroth, found, expected = (
        model.pipeline.network.state_dict() for model in (first, second, alone)
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert any(not torch.equal(found[name], zeroth[name]) for name in zeroth)


def test_nested_codes_are_trained_once_and_read_at_each_width(
    toy_protocol, tmp_path, monkeypatch
) -> None:
    made = []
    quantize = api.quantize
    monkeypatch.setattr(
        api, "quantize", lambda *words, **options: made.append(1) or quantize(*words, **options)
    )
    recipe = "matryoshka-w4a16:start=rtn,steps=2,batch=16"
    evaluations = (SMALL, *(SMALL | {"bits": bits} for bits in (3, 2)))
    grid = Grid(models=("var",), recipes=(recipe,), evaluations=evaluations)
    kept = Grid(models=("var",), recipes=(f"{recipe},read=2",), evaluations=(SMALL,))
    runner = LibraryRunner(toy_protocol, tmp_path)
    whole, three, two = (runner.run(cell) for cell in grid.cells(tmp_path))
    assert len(made) == 1
    alone = runner.run(kept.cells(tmp_path)[0])
    loss = FAMILIES["var"].tiny().adapter.loss_name
    assert two.quality.metrics[loss] == alone.quality.metrics[loss] != whole.quality.metrics[loss]
    assert two.bits == alone.bits
    assert [one.scheme for one in (whole, three, two)] == ["W4A16", "W3A16", "W2A16"]
    assert [one.recipe for one in (whole, two)] == [recipe, f"{recipe} at 2 bits"]
    assert "bits" not in whole.evaluation and two.evaluation["bits"] == 2


def test_estimates_are_shared_by_schemes_and_by_nothing_else(
    toy_protocol, tmp_path, monkeypatch
) -> None:
    found = {
        name: Recipe(name=name, method="topkld", scheme=scheme, options={"steps": steps})
        for name, scheme, steps in (
            ("short", "W4A16", 400),
            ("wide", "W8A16", 400),
            ("long", "W4A16", 4000),
        )
    }
    asked: list[int] = []

    def counted(model: api.Model, recipe: Recipe) -> api.Estimate:
        asked.append(recipe.options["steps"])
        return api.Estimate(float(recipe.options["steps"]), 0, 0)

    monkeypatch.setattr(library, "find_recipe", found.__getitem__)
    monkeypatch.setattr(api, "estimate_quantize", counted)
    runner = LibraryRunner(toy_protocol, tmp_path)
    cells = [Cell(model="var", recipe=name, seed=0, evaluation=Evaluation()) for name in found]
    assert [runner.quantization(cell).seconds for cell in cells] == [400, 400, 4000]
    assert asked == [400, 4000]
