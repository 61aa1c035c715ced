"""Benchmark pages: methods beside each other, from the records of a sweep."""

from bitscape.reports.benchmark.results import Result, Rise, paired, results
from bitscape.reports.benchmark.tables import page

__all__ = ["Result", "Rise", "page", "paired", "results"]
