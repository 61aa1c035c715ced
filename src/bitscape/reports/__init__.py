"""The demo: what quantization does to the bundled models, as a page, a picture and a table."""

from bitscape.reports.committed import Committed, read_committed, write_committed
from bitscape.reports.demo import run
from bitscape.reports.overview import draw_overview
from bitscape.reports.results import Demo, Panel, Row, Setting, Speed
from bitscape.reports.settings import Plan, full_plan, short_plan

__all__ = [
    "Committed",
    "Demo",
    "Panel",
    "Plan",
    "Row",
    "Setting",
    "Speed",
    "draw_overview",
    "full_plan",
    "read_committed",
    "run",
    "short_plan",
    "write_committed",
]
