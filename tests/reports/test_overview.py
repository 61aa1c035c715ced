import numpy as np
import pytest
from PIL import Image

from bitscape.reports.overview import DPI, WIDTH, draw_overview, loss_share
from bitscape.reports.results import Demo


@pytest.fixture(scope="module")
def shown(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The drawn overview, shape (height, width, 3)."""
    path = draw_overview(demo, tmp_path_factory.mktemp("overview") / "overview.png")
    return np.asarray(Image.open(path).convert("RGB"))


def colours(picture: np.ndarray) -> np.ndarray:
    """Each pixel's colour as one number."""
    return picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)


def test_overview_has_the_stated_width(shown: np.ndarray) -> None:
    assert shown.shape[1] == round(WIDTH * DPI)


def test_pictures_are_shown_pixel_by_pixel(demo: Demo, shown: np.ndarray) -> None:
    drawn = colours(shown)
    for panel in demo.panels:
        assert np.isin(colours(panel.rows[3].pictures[0]), drawn).all()


def test_longest_bar_belongs_to_the_largest_loss(demo: Demo) -> None:
    panel = demo.panels[0]
    shares = [loss_share(panel, row) for row in panel.rows]
    assert shares[0] == 0
    assert max(shares) == 1
    assert panel.rows[int(np.argmax(shares))].setting.recipe == "rtn-w3a16"
