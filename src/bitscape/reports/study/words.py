"""How numbers of a study are written, the same in text, figures and page."""

from collections import Counter

from bitscape.laws import LawEntry, Study, in_millions, label

FORM_NAMES = {
    "power": "power law",
    "power-floor": "power law over a floor",
    "bivariate": "bivariate",
    "effective": "effective parameters",
}

Ends = tuple[float | None, float | None] | None


def axis_name(study: Study) -> str:
    """The axis with its unit."""
    return "model bits (Gbit)" if study.axis == "model-bits" else "compute bits (1e9)"


def axis_unit(study: Study) -> tuple[float, str]:
    """A factor for the numbers along a figure's axis, and its name with the unit that they get."""
    if not in_millions(study):
        return 1.0, axis_name(study)
    return 1e3, "model bits (Mbit)" if study.axis == "model-bits" else "compute bits (1e6)"


def number(value: float | None) -> str:
    """Three significant digits; nothing for nothing."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.1e}"
    return f"{value:.3g}"


def interval(ends: Ends) -> str:
    """ "3.5 to 6.0", an open end as "no limit"."""
    if ends is None:
        return ""
    low, high = ends
    if low is None and high is None:
        return "no limit"
    if low is None or high is None:
        return f"above {number(low)}" if high is None else f"below {number(high)}"
    return f"{number(low)} to {number(high)}"


def remark(law: LawEntry) -> str:
    """Why a reading is missing, or how far it lies outside the measured sizes."""
    if law.reason is not None:
        return law.reason
    if law.extrapolated and law.times_beyond is not None:
        far = law.times_beyond >= 1.05
        return f"extrapolated {law.times_beyond:.3g} times" if far else "just outside the sizes"
    return ""


def names(study: Study) -> list[str]:
    """Every setting's label; of two readings of one setting, each names its table."""
    labels = [label(one) for one in study.settings]
    readings = Counter(
        (one.ladder, text)
        for one, text in zip(study.settings, labels, strict=True)
        if len(one.points) > 2
    )
    return [
        f"{text} (table {one.table})" if one.table and readings[one.ladder, text] > 1 else text
        for one, text in zip(study.settings, labels, strict=True)
    ]
