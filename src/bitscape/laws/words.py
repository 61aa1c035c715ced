"""The words of a study: how settings, metrics, amounts and ladders are called."""

from statistics import median

from bitscape.laws.results import SettingEntry, Study
from bitscape.laws.settings import Ladder


def label(one: SettingEntry) -> str:
    """ "topkld W4A16"; full precision goes by the name its source gives it."""
    if not one.full_precision:
        return f"{one.short} {one.scheme}"
    return "full precision" if one.method == "none" else one.short


def metric_name(metric: str) -> str:
    """The metric as people write it."""
    return {"fid": "FID", "sfid": "sFID", "fd_shapes": "FD-shapes", "nll": "NLL"}.get(
        metric, metric
    )


def gigabits(bits: float) -> str:
    """ "4.42 Gbit" of bits in 1e9."""
    return f"{bits:.3g} Gbit" if bits >= 0.1 else f"{1e3 * bits:.3g} Mbit"


def amount(study: Study, bits: float) -> str:
    """Bits on the axis of the study, in words."""
    return gigabits(bits) if study.axis == "model-bits" else compute(bits)


def compute(bits: float) -> str:
    """ "13e9 compute bits" of units of 1e9, or "12.3e6"."""
    return f"{bits:.3g}e9 compute bits" if bits >= 0.1 else f"{1e3 * bits:.3g}e6 compute bits"


def size(count: float) -> str:
    """ "850 kB", "1.2 GB" of bytes."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        # Three digits may round up to a thousand, which the next unit writes shorter.
        if float(f"{number:.3g}") < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def in_millions(study: Study) -> bool:
    """Whether most models are so small that bits are better told in 1e6 than in 1e9."""
    return median(point.cost(study.axis) for one in study.settings for point in one.points) < 0.1


def shared_protocol(study: Study, ladder: Ladder) -> bool:
    """Whether the source of `ladder` measured its series by one protocol alone."""
    same = {one for one in study.ladders if (one.source, one.series) == (ladder[0], ladder[1])}
    return len(same) < 2


def place(study: Study, ladder: Ladder) -> str:
    """ "var (RUNS)", and its protocol too where the series was measured by several."""
    told = "" if shared_protocol(study, ladder) else f", {ladder.protocol or 'no protocol named'}"
    return f"{ladder.series} ({ladder.source}{told})"
