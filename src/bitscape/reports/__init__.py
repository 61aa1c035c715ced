"""The demo: what quantization does to the bundled models, as a page, a picture and a table."""

from bitscape.reports.committed import Committed, read_committed, write_committed
from bitscape.reports.demo import run
from bitscape.reports.overview import draw_overview
from bitscape.reports.results import Demo, Panel, Row, Setting, Speed
from bitscape.reports.settings import FULL, SHORT, Plan

__all__ = [
    "FULL",
    "SHORT",
    "Committed",
    "Demo",
    "Panel",
    "Plan",
    "Row",
    "Setting",
    "Speed",
    "draw_overview",
    "read_committed",
    "run",
    "write_committed",
]
