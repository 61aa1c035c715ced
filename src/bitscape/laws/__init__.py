"""Run records and what is learned from them; works without torch."""

from bitscape.laws.law import FORMS, Form, Law
from bitscape.laws.names import order, shared_options, sharing, shortened, split_name
from bitscape.laws.planner import Answer, Budget, Candidate, law_of, plan
from bitscape.laws.published import published
from bitscape.laws.records import (
    RECORDS,
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
from bitscape.laws.results import (
    ChangeEntry,
    FrontierEntry,
    LawEntry,
    RelativeEntry,
    SettingEntry,
    Study,
    read_study,
)
from bitscape.laws.settings import Accounting, Axis, Ladder, Setting, settings_of
from bitscape.laws.study import study
from bitscape.laws.styles import Comparison, comparable, heading, sentences
from bitscape.laws.table import FULL_BITS, Row, from_records, read_table
from bitscape.laws.timing import Profile, Timing, latency, read_profile
from bitscape.laws.words import in_millions, label, metric_name, place, shared_protocol

__all__ = [
    "FORMS",
    "FULL_BITS",
    "RECORDS",
    "SCHEMA_VERSION",
    "Accounting",
    "Answer",
    "Axis",
    "Bits",
    "Budget",
    "Candidate",
    "ChangeEntry",
    "Comparison",
    "Form",
    "FrontierEntry",
    "Ladder",
    "Law",
    "LawEntry",
    "Profile",
    "Quality",
    "RelativeEntry",
    "Row",
    "RunRecord",
    "Setting",
    "SettingEntry",
    "Study",
    "Timing",
    "append",
    "comparable",
    "from_records",
    "heading",
    "in_millions",
    "label",
    "latency",
    "latest",
    "law_of",
    "load",
    "metric_name",
    "order",
    "place",
    "plan",
    "published",
    "read_profile",
    "read_study",
    "read_table",
    "repair",
    "sentences",
    "settings_of",
    "shared_options",
    "shared_protocol",
    "sharing",
    "shortened",
    "split_name",
    "study",
    "to_line",
]
