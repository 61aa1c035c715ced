"""Methods: sentences of passes that name their paper."""

import inspect
import sys

import pytest

from bitscape.methods import METHODS, Method
from bitscape.passes import Pass, check_order


@pytest.mark.parametrize("name", METHODS)
def test_method_is_a_lawful_sentence_of_passes(name: str) -> None:
    method = METHODS[name]()
    assert isinstance(method, Method)
    passes = method.passes()
    assert all(isinstance(step, Pass) for step in passes)
    check_order(passes)


@pytest.mark.parametrize("name", METHODS)
def test_method_file_cites_its_source_and_maps_its_equations(name: str) -> None:
    method = METHODS[name]
    text = inspect.getdoc(sys.modules[method.__module__]) or ""
    assert "arXiv:" in text
    assert any(f"{package}." in text for package in ("algorithms", "quantizers", "passes"))


def test_options_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="static_groups=True"):
        METHODS["gptq"](act_order=True, static_groups=False)
    with pytest.raises(ValueError, match="damping cannot be negative"):
        METHODS["gptq"](damping=-1.0)
