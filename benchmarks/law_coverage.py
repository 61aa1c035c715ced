"""Are the laws recovered, and do their 95 % intervals hold the truth 95 % of the time?

    python benchmarks/law_coverage.py --draws 1000

Each draw takes a law at random (exponent 0.1 to 0.8, factor 1 to 10, four to eight sizes over one
to two decades, noise of 1 to 8 % in log Q that differs from size to size), measures every size once
and fits it. The truth is known, so the share of draws whose interval holds it is the coverage: of
the exponent, of the bits that reach a quality in the middle of the range, and of the quality at the
largest size. The floor is drawn with eight sizes over two decades and a floor of 40 to 80 % of the
best quality. A bootstrap of residuals with the usual percentile interval stands beside Student's t
to show why it is not used.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitscape.laws import FORMS, Law, Row, Setting, settings_of
from bitscape.laws.fit import fit_bivariate, fit_effective, fit_floor, fit_power

WIDTHS = (4, 3, 8)
BOOTSTRAPS = 400


@dataclass(frozen=True)
class Truth:
    """One law at random: log Q = log(c + a (b N)^-alpha b^-gain) + noise."""

    alpha: float
    a: float
    floor: float
    gain: float
    sizes: np.ndarray
    noise: float

    def quality(self, bits: float | np.ndarray, width: float) -> np.ndarray:
        """Q at `bits`, without noise."""
        return np.asarray(self.floor + self.a * bits**-self.alpha * width**-self.gain)


def draw(rng: np.random.Generator, form: str) -> Truth:
    """A truth that `form` describes."""
    floored = form == "power-floor"
    count = 8 if floored else int(rng.integers(4, 9))
    decades = 2.0 if floored else rng.uniform(1, 2)
    sizes = 10 ** np.linspace(8, 8 + decades, count).round(6)
    alpha, a = rng.uniform(0.3 if floored else 0.1, 0.8), rng.uniform(1, 10)
    steep = a * (4 * sizes[-1] / 1e9) ** -alpha
    share = rng.uniform(0.4, 0.8) if floored else 0.0
    gain = 0.0 if form in ("power", "power-floor") else rng.uniform(-0.3, 0.3)
    noise = rng.uniform(0.002, 0.01) if floored else rng.uniform(0.01, 0.08)
    return Truth(alpha, a, steep * share / (1 - share), gain, sizes, noise)


def measured(truth: Truth, widths: Sequence[int], rng: np.random.Generator) -> list[Setting]:
    """One noisy measurement of each size at each width."""
    rows = []
    for width in widths:
        for size in truth.sizes:
            bits = width * size / 1e9
            value = float(truth.quality(bits, width) * np.exp(rng.normal(0, truth.noise)))
            rows.append(
                Row(
                    source="drawn",
                    table="",
                    model=f"{size:g}",
                    family="f",
                    series="f",
                    parameters=int(size),
                    method="m",
                    scheme=f"W{width}A16",
                    w_bits=width,
                    a_bits=16,
                    metric="fid",
                    value=value,
                    protocol="",
                    note="",
                    model_bits=bits,
                    actual_bits=None,
                    compute_bits=16 * bits,
                )
            )
    return settings_of(rows, "model-bits", "fid")


def fitted(form: str, truth: Truth, rng: np.random.Generator) -> tuple[Law | None, Setting]:
    """The law of the 4-bit setting, in `form`."""
    if form in ("power", "power-floor"):
        (setting,) = measured(truth, (4,), rng)
        return (fit_power if form == "power" else fit_floor)(setting), setting
    settings = measured(truth, WIDTHS, rng)
    law = fit_effective(settings) if form == "effective" else fit_bivariate(settings, "model-bits")
    return law, settings[0]


def holds(ends: tuple[float | None, float | None] | None, value: float) -> bool:
    """Whether an interval, perhaps open, holds `value`."""
    if ends is None:
        return True
    low, high = ends
    return (low is None or low <= value) and (high is None or value <= high)


def bootstrapped(setting: Setting, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile interval of the exponent from resampled residuals."""
    x, y = np.log(setting.bits), np.log(setting.quality)
    design = np.stack([np.ones_like(x), -x], axis=1)
    solve = np.linalg.pinv(design)
    fit = design @ (solve @ y)
    residuals = (y - fit) * (len(x) / (len(x) - 2)) ** 0.5
    picks = rng.integers(0, len(x), (BOOTSTRAPS, len(x)))
    exponents = ((fit + residuals[picks]) @ solve.T)[:, 1]
    low, high = np.percentile(exponents, [2.5, 97.5])
    return float(low), float(high)


def coverage(form: str, draws: int, seed: int = 0) -> dict[str, float]:
    """Shares of draws whose interval holds the truth, and how far estimates miss."""
    rng = np.random.default_rng(seed)
    hits: dict[str, list[bool]] = {}
    misses = []
    for _ in range(draws):
        truth = draw(rng, form)
        law, setting = fitted(form, truth, rng)
        if law is None:
            continue
        middle = float(np.sqrt(setting.bits[0] * setting.bits[-1]))
        largest = float(setting.bits[-1])
        target = float(truth.quality(middle, 4))
        found = {
            "exponent": holds(law.alpha_ci(), truth.alpha),
            "bits at a quality": holds(law.bits_at_ci(target), middle),
            "quality at the largest size": holds(
                law.quality_ci(largest), float(truth.quality(largest, 4))
            ),
        }
        if form == "power":
            found["exponent, residual bootstrap"] = holds(bootstrapped(setting, rng), truth.alpha)
        for name, hit in found.items():
            hits.setdefault(name, []).append(hit)
        misses.append(law.alpha - truth.alpha)
    result = {name: round(float(np.mean(hit)), 4) for name, hit in hits.items()}
    return {
        **result,
        "draws": len(misses),
        "exponent, median error": round(float(np.median(misses)), 4),
        "exponent, median absolute error": round(float(np.median(np.abs(misses))), 4),
    }


def main() -> None:
    """Print one line of JSON for each form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for form in FORMS:
        found = coverage(form, options.draws, options.seed)
        print(json.dumps({"form": form, **found}), flush=True)


if __name__ == "__main__":
    main()
