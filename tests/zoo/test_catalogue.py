"""The catalogue: families matched in parameters, none above its bound."""

import sys

import pytest
from torch import nn

from bitscape.models import FAMILIES
from bitscape.zoo import ENTRIES
from bitscape.zoo.catalogue import LINES, MAR_HEADS
from bitscape.zoo.checkpoints import assemble_entry


def parameters(name: str) -> int:
    entry = ENTRIES[name]
    return sum(p.numel() for p in FAMILIES[entry.family].network(entry.config).parameters())


@pytest.mark.parametrize("name", [n for n, e in ENTRIES.items() if n == f"{e.family}-{e.size}"])
def test_the_families_are_matched_in_parameters(name: str) -> None:
    assert parameters(name) == pytest.approx(parameters(f"var-{ENTRIES[name].size}"), rel=0.25)


@pytest.mark.parametrize("family", list(LINES))
def test_sizes_grow_and_stay_below_two_million(family: str) -> None:
    counts = [parameters(f"{family}-{size}") for size in LINES[family].sizes]
    assert all(big > 1.5 * small for small, big in zip(counts, counts[1:], strict=False))
    assert counts[-1] < 2_000_000


@pytest.mark.parametrize("size", list(MAR_HEADS))
def test_mar_is_matched_with_its_head_included(size: str) -> None:
    assert parameters(f"mar-{size}") == pytest.approx(parameters(f"var-{size}"), rel=0.03)


def test_twins_share_the_weights_of_their_model() -> None:
    assert ENTRIES["var-l-outlier"].weights == "var-l"
    assert ENTRIES["llamagen-m-outlier"].weights == "llamagen-m"
    assert ENTRIES["var-s-seed1"].weights == "var-s-seed1"


def test_a_unet_without_diffusers_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ValueError, match=r"pip install bitscape\[diffusers\]"):
        assemble_entry(ENTRIES["unet-s"], nn.Identity())
