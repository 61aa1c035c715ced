from pathlib import Path

import numpy as np
from PIL import Image

from bitscape.reports.overview import DPI, WIDTH, draw_overview, loss_share
from bitscape.reports.results import Demo


def test_overview_has_room_for_every_panel(demo: Demo, tmp_path: Path) -> None:
    both = Image.open(draw_overview(demo, tmp_path / "both.png"))
    assert both.size[0] == round(WIDTH * DPI)
    assert np.asarray(both.convert("L")).std() > 10


def test_pictures_are_shown_pixel_by_pixel(demo: Demo, tmp_path: Path) -> None:
    shown = np.asarray(Image.open(draw_overview(demo, tmp_path / "a.png")).convert("RGB"))
    colours = {tuple(pixel) for pixel in shown.reshape(-1, 3)}
    first = demo.panels[0].full.pictures[0].reshape(-1, 3)
    assert {tuple(pixel) for pixel in first} <= colours


def test_longest_bar_belongs_to_the_largest_loss(demo: Demo) -> None:
    panel = demo.panels[0]
    shares = [loss_share(panel, row) for row in panel.rows]
    assert shares[0] == 0
    assert max(shares) == 1
    assert panel.rows[int(np.argmax(shares))].setting.recipe == "rtn-w3a16"
