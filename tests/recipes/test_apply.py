"""Applying a recipe: what it reports, what it records, what it refuses."""

import json
from pathlib import Path

import pytest
import torch

from bitscape.calibration import record
from bitscape.models import FAMILIES
from bitscape.nn import quantized_sites
from bitscape.recipes import Calibration, Recipe, apply, find_recipe

SMALL = Calibration(samples=4, batch=2, keep=2)


def recipe(name: str) -> Recipe:
    return find_recipe(name).model_copy(update={"calibration": SMALL})


def test_report_is_json_and_names_its_data() -> None:
    pipeline = FAMILIES["var"].tiny()
    report = apply(recipe("gptq-w4a8"), pipeline)
    assert json.loads(json.dumps(report)) == report
    assert (report["method"], report["scheme"]) == ("gptq", "W4A8")
    assert report["calibration"]["labels"] == [0, 1, 2, 3]
    assert set(report["sites"]) == {s.name for s in pipeline.adapter.sites(pipeline.network)}


def test_rounding_to_nearest_records_nothing() -> None:
    assert apply(recipe("rtn-w4a8"), FAMILIES["var"].tiny())["calibration"] is None


def test_given_calibration_is_used() -> None:
    pipeline = FAMILIES["var"].tiny()
    given = record(pipeline, [3], seed=1)
    report = apply(recipe("gptq-w4a16"), pipeline, calibration=given)
    assert report["calibration"]["sha256"] == given.identity


def test_seed_decides_the_calibration() -> None:
    reports = [apply(recipe("gptq-w4a16"), FAMILIES["var"].tiny(), seed=s) for s in (0, 0, 1)]
    assert reports[0] == reports[1]
    assert reports[0]["calibration"]["sha256"] != reports[2]["calibration"]["sha256"]


def test_recorded_calibration_is_taken_up_again(tmp_path: Path) -> None:
    told: list[str] = []
    reports = []
    for _ in range(2):
        told.clear()
        reports.append(
            apply(
                recipe("gptq-w4a16"),
                FAMILIES["var"].tiny(),
                workspace=tmp_path,
                progress=lambda text, done, total: told.append(text),
            )
        )
    assert reports[0] == reports[1]
    assert "recording calibration" not in told


def test_bad_weight_is_found_before_anything_is_recorded() -> None:
    pipeline = FAMILIES["dit"].tiny()
    pipeline.network.get_submodule("blocks.0.ada").weight.data[0, 0] = torch.inf
    with pytest.raises(ValueError, match="blocks.0.ada has NaN or infinity"):
        apply(recipe("gptq-w4a16"), pipeline, progress=lambda *_: pytest.fail("too late"))


def test_only_sites_that_are_touched_are_quantized() -> None:
    pipeline, whole = (FAMILIES["var"].tiny() for _ in range(2))
    first = {s.name for s in whole.adapter.sites(whole.network) if s.name.startswith("blocks.0.")}
    report = apply(recipe("rtn-w4a8"), pipeline, touched=first.__contains__)
    told = apply(recipe("rtn-w4a8"), whole)
    assert set(report["sites"]) == set(quantized_sites(pipeline.network)) == first
    # As the whole network has them, under the scheme that the recipe names.
    assert report["scheme"] == told["scheme"] == "W4A8"
    assert report["sites"] == {name: told["sites"][name] for name in report["sites"]}


def test_recipe_of_another_family_is_refused() -> None:
    only = recipe("rtn-w4a16").model_copy(update={"families": ("var",)})
    with pytest.raises(ValueError, match="is for var, not for dit"):
        apply(only, FAMILIES["dit"].tiny())
