"""Long names of methods with options: apart, inside the figure, and short where they can be."""

from collections.abc import Iterator

import matplotlib
import pytest
from matplotlib.text import Annotation

from bitscape.laws import Study, study
from bitscape.laws.table import read_csv
from bitscape.reports.study.iso_quality import draw_iso_quality
from bitscape.reports.study.marks import STYLE
from bitscape.reports.study.pareto import draw_frontier
from bitscape.reports.study.view import View, views

SIZES = (1e8, 2e8, 4e8, 8e8)
WIDTHS = (16, 8, 7, 6, 5, 4, 3)


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    """The letters in which figures are written."""
    with matplotlib.rc_context(dict(STYLE)):  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def narrow() -> View:
    """Settings so close that each is the best for a short stretch of budgets."""
    header = "source,model,family,params,method,w_bits,a_bits,metric,value,protocol"
    lines = [
        f"paper,m{size:g},var,{size},"
        + (f'"trained:loss=number-{w},data=shapes,steps=200"' if w < 16 else "fp16")
        + f",{w},16,fid,{3 * (size / 1e9) ** -0.3},50k samples"
        for w in WIDTHS
        for size in SIZES
    ]
    (view,) = views(study(read_csv([header, *lines], "test"), at=4.0))
    return view


def test_names_on_the_frontier_do_not_cover_each_other(narrow: View) -> None:
    figure, _ = draw_frontier(narrow)
    names = [
        text
        for text in figure.axes[0].texts
        if isinstance(text, Annotation) and text.get_fontweight() == "bold"
    ]
    boxes = [name.get_window_extent() for name in names]
    assert len(boxes) >= 3
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_names_beside_the_bits_needed_lie_inside_the_figure(narrow: View) -> None:
    figure, _ = draw_iso_quality(narrow)
    edges = [label.get_window_extent().x0 for label in figure.axes[0].get_yticklabels()]
    assert len(edges) == len(WIDTHS)
    assert min(edges) >= 0


def test_options_of_all_methods_are_told_once(narrow: View) -> None:
    told: Study = narrow.study
    labels = [line.label for line in narrow.lines]
    assert "trained:loss=number-3 W3A16" in labels
    assert told.settings[1].method == "trained:loss=number-8,data=shapes,steps=200"
    assert told.settings[1].short == "trained:loss=number-8"
    assert "All methods with options were run with data=shapes, steps=200." in told.caveats
    assert not any("steps=200" in finding for finding in told.findings)
