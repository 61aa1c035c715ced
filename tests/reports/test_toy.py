"""Figure 7a of the TopKLD paper: one Gaussian fitted to two."""

from pathlib import Path

import pytest
from PIL import Image

from bitscape.reports import toy


def test_topkld_lies_between_covering_both_modes_and_seeking_one(tmp_path: Path) -> None:
    fits = {name: toy.fitted(name) for name in ("forward-kl", "topkld", "reverse-kl")}
    forward, between, reverse = fits.values()
    assert reverse[0] < between[0] < forward[0]
    assert reverse[1] < between[1] < forward[1]


def test_forward_kl_covers_two_modes_and_reverse_kl_seeks_one() -> None:
    covering, wide = toy.fitted("forward-kl")
    seeking, narrow = toy.fitted("reverse-kl")
    assert covering == pytest.approx(0.8 * -2 + 0.2 * 2, abs=0.1)
    assert wide == pytest.approx((0.6**2 + 0.8 * 0.8**2 + 0.2 * 3.2**2) ** 0.5, abs=0.1)
    assert seeking == pytest.approx(-2.0, abs=0.1)
    assert narrow == pytest.approx(0.6, abs=0.1)


def test_a_head_inside_one_mode_gives_nearly_forward_kl() -> None:
    (mean, width), (near, wide) = toy.fitted("topkld", 12), toy.fitted("forward-kl")
    assert abs(mean - near) < 0.2
    assert abs(width - wide) < 0.2


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    with Image.open(toy.draw(tmp_path / "toy.png")) as picture:
        assert picture.width > picture.height
