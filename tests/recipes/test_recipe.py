"""Recipes as data: what is accepted, what is refused in one line."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from bitscape.methods import METHODS
from bitscape.models import FAMILIES
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
        ({"options": {"damp": 0.1}}, "gptq has no option 'damp': one of .*damping"),
        ({"options": {"act_order": True, "static_groups": False}}, "static_groups=True"),
        ({"calibration": {"samples": 0}}, "greater than or equal to 1"),
        ({"speed": "fast"}, "no key speed: choose of name, method, scheme, options, "),
        ({"calibration": {"images": 3}}, "no key calibration.images: choose of samples, "),
        ({1: 2}, "no key 1: choose of name, "),
        ({"families": "var"}, "families: 'var' is no list: write it in brackets"),
    ],
)
def test_bad_recipe_is_refused_in_one_line(
    change: dict[object, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **change}))
    with pytest.raises(ValueError, match=message) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    assert "bad.yaml" in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_keys_that_a_recipe_needs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: mine\nmethod: gptq\n")
    with pytest.raises(ValueError, match=r"bad\.yaml: scheme is missing"):
        read_recipe(path)


@pytest.mark.parametrize("content", ["name: mine".encode("utf-16"), b"\xff\x00\x80"])
def test_file_that_is_no_text_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bin.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bin\.yaml is not text in UTF-8"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"families": ("dit",)}, "is for dit, not for var"),
        ({"model": "var-d16"}, "is for var-d16, not for var-tiny"),
        ({"sampler": {"guidence": 3}}, "unknown sampler option 'guidence'"),
        ({"sampler": {"guidance": "many"}}, "guidance = 'many': give a number"),
        ({"scheme": "W4A16/haed=W8A8"}, "unknown role 'haed' .*var-tiny has ada, qkv, .*head"),
        ({"scheme": "W4A16/blocks.9.qkv=W8A8"}, "unknown role 'blocks.9.qkv'"),
        ({"scheme": "W4A16@g7"}, "blocks.0.ada: groups of 7 do not divide a width of"),
    ],
)
def test_what_a_model_cannot_have_is_refused_and_changes_nothing(
    change: dict[str, object], message: str
) -> None:
    pipeline = FAMILIES["var"].tiny()
    before = dict(pipeline.sampler)
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({**GOOD, "scheme": "W4A16", **change}).fit(pipeline)
    assert pipeline.sampler == before


@pytest.mark.parametrize("family", ["var", "dit"])
@pytest.mark.parametrize(
    "own", ["time=W8A16", "input=W8A16", "head=W8A8", "attend=W16A8", "blocks.1.ada=W8A8"]
)
def test_schemes_name_roles_of_any_family_and_sites_of_the_model(family: str, own: str) -> None:
    recipe = Recipe(name="mine", method="rtn", scheme=f"W4A16/{own}")
    recipe.check(FAMILIES[family].tiny())


@pytest.mark.parametrize("text", ["", "- a\n- b", "name: [unclosed"])
def test_file_without_a_recipe_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.yaml"):
        read_recipe(path)


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Recipe(**GOOD).name = "other"


def test_steps_are_followed_by_those_inside_them() -> None:
    """A training begins with passes, and `mixed` tries passes out."""
    trained, start = (find_recipe(name) for name in ("topkld-w4a16", "gptq-w4a16"))
    inside = trained.changed(options={"start": "gptq"})
    [training, *begun] = inside.steps()
    assert training == inside.training() and begun == start.steps()
    assert inside.trains() and not start.trains() and start.training() is None
    assert len(find_recipe("mixed-w4a16").steps()) > len(
        find_recipe("mixed-w4a16").build().passes()
    )


@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if "range" in vars(m())])
def test_an_unknown_range_is_refused_when_the_recipe_is_read(method: str) -> None:
    kind = METHODS[method]
    with pytest.raises(ValueError, match="unknown range 'zork': one of minmax"):
        Recipe(name="r", method=method, scheme=kind.schemes[0], options={"range": "zork"})
