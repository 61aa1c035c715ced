"""Run records and what is learned from them; works without torch."""

from bitscape.laws.records import (
    SCHEMA_VERSION,
    Bits,
    Quality,
    RunRecord,
    append,
    latest,
    load,
    repair,
    to_line,
)

__all__ = [
    "SCHEMA_VERSION",
    "Bits",
    "Quality",
    "RunRecord",
    "append",
    "latest",
    "load",
    "repair",
    "to_line",
]
