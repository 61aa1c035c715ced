"""Benchmark pages: methods beside each other, from the records of a sweep."""

from bitscape.reports.benchmark.results import Mean, Result, Rise, failures, paired, results
from bitscape.reports.benchmark.tables import page

__all__ = ["Mean", "Result", "Rise", "failures", "page", "paired", "results"]
