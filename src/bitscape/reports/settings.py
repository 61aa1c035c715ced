"""Which models and settings the demo shows, in full and in short form."""

from dataclasses import dataclass

from bitscape import zoo
from bitscape.reports.results import Setting
from bitscape.sweeps import FULL_PRECISION

SHOWN = ("var", "dit")
"""The families of the demo, one of each style: more would not fit into its minutes."""

SETTINGS = (
    Setting(FULL_PRECISION, "16 bits", "bf16", "as trained"),
    Setting("rtn-w8a8", "8 bits", "W8A8", "RTN"),
    Setting("gptq-w8a8", "8 bits", "W8A8", "GPTQ"),
    Setting("rtn-w4a16", "4 bits", "W4A16", "RTN"),
    Setting("gptq-w4a16", "4 bits", "W4A16", "GPTQ"),
    Setting("rtn-w3a16", "3 bits", "W3A16", "RTN"),
    Setting("gptq-w3a16", "3 bits", "W3A16", "GPTQ"),
)


@dataclass(frozen=True)
class Plan:
    """What to run: `samples` images for the preview, `lessons` held-out images for the loss."""

    models: tuple[str, ...]
    settings: tuple[Setting, ...] = SETTINGS
    samples: int = 250
    lessons: int = 512
    speed_seconds: float = 20.0
    seed: int = 0


def full_plan() -> Plan:
    """The largest bundled model of each family shown."""
    return Plan(models=tuple(f"zoo:{zoo.trained(family)[-1]}" for family in _bundled()))


def short_plan() -> Plan:
    """The smallest bundled model of each family shown, and few samples."""
    models = tuple(f"zoo:{zoo.trained(family)[0]}" for family in _bundled())
    return Plan(models=models, samples=50, lessons=64, speed_seconds=2.0)


def _bundled() -> list[str]:
    return [family for family in SHOWN if zoo.trained(family)]
