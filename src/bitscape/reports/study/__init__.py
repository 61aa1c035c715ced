"""A study of laws for people: a folder with law.json, and a summary in plain text."""

from bitscape.reports.study.summary import summary
from bitscape.reports.study.write import write_study

__all__ = ["summary", "write_study"]
