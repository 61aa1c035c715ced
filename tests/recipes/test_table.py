"""The bundled recipes."""

import pytest

from bitscape.methods import METHODS
from bitscape.recipes import RECIPES, find_recipe


def test_names_are_method_and_scheme() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert name.startswith(f"{recipe.method}-")
        assert name == name.lower()
        assert recipe.description


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_bundled_at_the_schemes_it_declares(method: str) -> None:
    bundled = [r.scheme for r in RECIPES.values() if r.method == method]
    assert bundled == list(METHODS[method].schemes)
    assert len(set(bundled)) == len(bundled) > 0


@pytest.mark.parametrize("method", ["rtn", "gptq"])
def test_the_settings_everyone_asks_for_are_there(method: str) -> None:
    wanted = (
        "w8a8 w8a8-static w8a16 w6a16 w4a16 w4a16-g64 w4a16-asym w3a16 w3a16-asym w2a16 w4a8 w3a8 "
        "w6a6 w4a4 fp8 mxfp4 nvfp4"
    )
    assert not {f"{method}-{scheme}" for scheme in wanted.split()} - RECIPES.keys()


def test_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown recipe 'gptq-w4a15': nearest are gptq-w4a1"):
        find_recipe("gptq-w4a15")
    with pytest.raises(FileNotFoundError, match=r"nowhere.yaml does not exist"):
        find_recipe("nowhere.yaml")


def test_a_name_may_spell_any_scheme_that_the_method_takes() -> None:
    assert find_recipe("rtn-w8a8,static") is RECIPES["rtn-w8a8-static"]
    assert "gptq-w4a8-static" not in RECIPES
    assert find_recipe("gptq-w4a8-static") == find_recipe("gptq-w4a8,static")
    found = find_recipe("auto-w5a16@g32:toll=0.1")
    assert (found.method, found.scheme) == ("auto", "W5A16@g32")
    assert found.options == {"toll": 0.1}
    for method in ("rtn", "smoothquant", "topkld"):
        with pytest.raises(ValueError, match=rf"^{method} cannot write .* choose gptvq$") as caught:
            find_recipe(f"{method}-w2a16,vq3d")
        assert "W2A16,vq3d (codebook2x3" in str(caught.value)
    with pytest.raises(ValueError, match="mixed cannot write the weights of W16A8 "):
        find_recipe("mixed-w16a8")
    with pytest.raises(ValueError, match="matryoshka cannot write the weights of W8A16"):
        find_recipe("matryoshka-w8a16")


def test_recipes_of_one_method_are_apart_by_name_at_equal_schemes() -> None:
    names = ("topkld-w4a16", "topkld-w4a16:loss=data,data=shapes", "rtn-w8a8-static")
    entries = [find_recipe(name).entry for name in names]
    assert entries == ["topkld", "topkld:loss=data,data=shapes", "rtn"]


def test_a_name_may_carry_other_options() -> None:
    found = find_recipe("topkld-w3a16:loss=forward-kl,rate=5e-4,data=shapes")
    assert found.options == {"loss": "forward-kl", "rate": 5e-4}
    assert found.data == "shapes"
    assert found.scheme == "W3A16"
    with pytest.raises(ValueError, match="unknown loss .*, data"):
        find_recipe("topkld-w3a16:loss=kl")
    with pytest.raises(ValueError, match="topkld has no option 'speed'"):
        find_recipe("topkld-w3a16:speed=9")
