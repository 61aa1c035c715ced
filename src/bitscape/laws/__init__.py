"""Run records and what is learned from them; works without torch."""

from bitscape.laws.findings import in_millions, label, metric_name
from bitscape.laws.law import FORMS, Form, Law
from bitscape.laws.planner import Answer, Budget, Candidate, latency, law_of, plan
from bitscape.laws.published import published
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
from bitscape.laws.relative import comparable
from bitscape.laws.results import (
    FrontierEntry,
    LawEntry,
    RelativeEntry,
    SettingEntry,
    Study,
    read_study,
)
from bitscape.laws.settings import Accounting, Axis, Setting, settings_of
from bitscape.laws.study import study
from bitscape.laws.table import Row, from_records, read_table

__all__ = [
    "FORMS",
    "SCHEMA_VERSION",
    "Accounting",
    "Answer",
    "Axis",
    "Bits",
    "Budget",
    "Candidate",
    "Form",
    "FrontierEntry",
    "Law",
    "LawEntry",
    "Quality",
    "RelativeEntry",
    "Row",
    "RunRecord",
    "Setting",
    "SettingEntry",
    "Study",
    "append",
    "comparable",
    "from_records",
    "in_millions",
    "label",
    "latency",
    "latest",
    "law_of",
    "load",
    "metric_name",
    "plan",
    "published",
    "read_study",
    "read_table",
    "repair",
    "settings_of",
    "study",
    "to_line",
]
