"""Figure 7a of the TopKLD paper: one Gaussian fitted to two."""

from pathlib import Path

from PIL import Image

from bitscape.reports import toy


def test_topkld_lies_between_covering_both_modes_and_seeking_one(tmp_path: Path) -> None:
    fits = {name: toy.fitted(name) for name in ("forward-kl", "topkld", "reverse-kl")}
    forward, between, reverse = fits.values()
    assert reverse[0] < between[0] < forward[0]
    assert reverse[1] < between[1] < forward[1]


def test_a_head_inside_one_mode_gives_nearly_forward_kl() -> None:
    (mean, width), (near, wide) = toy.fitted("topkld", 12), toy.fitted("forward-kl")
    assert abs(mean - near) < 0.2
    assert abs(width - wide) < 0.2


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    with Image.open(toy.draw(tmp_path / "toy.png")) as picture:
        assert picture.width > picture.height
