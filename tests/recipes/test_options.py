import pytest

from bitscape.recipes import find_recipe, with_options


def test_options_replace_those_of_the_recipe() -> None:
    recipe = with_options(find_recipe("mixed-w4a16"), ["effective_bits=3.5", "bits=[2, 3, 4]"])
    assert recipe.options == {"effective_bits": 3.5, "bits": (2, 3, 4)}
    assert recipe.build().effective_bits == 3.5
    assert with_options(recipe, ["base = rtn"]).build().base == "rtn"
    assert with_options(recipe, []) == recipe


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("effective_bits", "write NAME=VALUE"),
        ("budget=3", "mixed has no option 'budget': one of effective_bits, bytes"),
        ("effective_bits=many", "mixed: effective_bits = 'many': input should be a valid number"),
        ("base=awq", "mixed: base = 'awq'"),
        ("bits=[2", "not YAML"),
        ("effective_bits=-1", "set one positive budget"),
    ],
)
def test_wrong_options_are_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        with_options(find_recipe("mixed-w4a16"), [text])
