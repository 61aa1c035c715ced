"""Method cards: complete, and the same in the documentation."""

from pathlib import Path

import pytest

from bitscape.methods import METHODS
from bitscape.recipes import card

DOCS = Path(__file__).parents[2] / "docs" / "methods"


@pytest.mark.parametrize("name", METHODS)
def test_card_says_what_a_user_needs(name: str) -> None:
    text = card(name)
    for wanted in ("arXiv:", "\n\nDeviations. ", "\n\nCost. ", "\n\nUse. ", "## Settings"):
        assert wanted in text, wanted
    assert METHODS[name].summary.endswith(".")


@pytest.mark.parametrize("name", METHODS)
def test_documented_card_is_the_present_one(name: str) -> None:
    path = DOCS / f"{name}.md"
    assert path.read_text() == card(name) + "\n", f"bitscape recipes show {name} > {path}"


def test_card_of_an_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="unknown method 'gtpq': one of rtn, gptq"):
        card("gtpq")
