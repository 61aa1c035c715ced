"""The folder of a study: law.json, the figures, and one page that holds everything."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from bitscape.files import write_whole
from bitscape.laws import Study, comparable
from bitscape.reports.study.iso_quality import draw_iso_quality
from bitscape.reports.study.marks import STYLE, Tips, save
from bitscape.reports.study.page import page
from bitscape.reports.study.panels import draw_panels
from bitscape.reports.study.pareto import draw_frontier
from bitscape.reports.study.styles import beside
from bitscape.reports.study.view import View, views

DRAWINGS: dict[str, Callable[[View], tuple[Figure, Tips]]] = {
    "frontier": draw_frontier,
    "iso-quality": draw_iso_quality,
    "laws": draw_panels,
}


def write_study(study: Study, out: Path) -> list[Path]:
    """Write law.json, index.html and figures/ into `out`; return the first two paths.

    Files of an older study are replaced, its figures removed.
    """
    law, index = out / "law.json", out / "index.html"
    write_whole(law, (study.model_dump_json(indent=1) + "\n").encode())
    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for old in [*figures.glob("*.png"), *figures.glob("*.svg")]:
        old.unlink()
    drawn = {view.slug: draw(view, figures) for view in views(study) if view.drawn}
    compared = [(one, beside(study, one, figures)) for one in comparable(study)]
    write_whole(index, page(study, drawn, compared).encode())
    return [law, index]


def draw(view: View, folder: Path) -> dict[str, str]:
    """Write the figures of `view` as PNG and SVG; return the SVG of each kind."""
    found = {}
    for kind, drawing in DRAWINGS.items():
        if kind == "frontier" and not view.cells:
            continue
        with matplotlib.rc_context(dict(STYLE)):  # type: ignore[arg-type]
            figure, tips = drawing(view)
        _, svg = save(figure, tips, folder / f"{view.slug}-{kind}")
        found[kind] = svg.read_text()
    return found
