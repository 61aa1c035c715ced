"""Recipes as data: what is accepted, what is refused in one line."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from bitscape.recipes import RECIPES, Recipe, find_recipe, read_recipe

GOOD = {"name": "mine", "method": "gptq", "scheme": "W4A16@g64"}


def test_written_recipe_comes_back(tmp_path: Path) -> None:
    for name in ("gptq-w4a16", "rtn-w8a8-static"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(RECIPES[name].model_dump(mode="json")))
        assert find_recipe(str(path)) == RECIPES[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "gptqq"}, "unknown method 'gptqq'"),
        ({"scheme": "W4A99"}, "unknown scheme 'W4A99'"),
        ({"options": {"damp": 0.1}}, "unexpected keyword argument 'damp'"),
        ({"options": {"act_order": True, "static_groups": False}}, "static_groups=True"),
        ({"calibration": {"samples": 0}}, "greater than or equal to 1"),
        ({"speed": "fast"}, "Extra inputs are not permitted"),
        ({"calibration": {"images": 3}}, "Extra inputs are not permitted"),
    ],
)
def test_bad_recipe_is_refused_in_one_line(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(ValueError, match=message) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    assert "bad.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b", "name: [unclosed"])
def test_file_without_a_recipe_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.yaml"):
        read_recipe(path)


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Recipe(**GOOD).name = "other"
