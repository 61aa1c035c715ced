"""Milliseconds an image of models that were not timed, from some of their family that were."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bitscape.laws.results import Study

FARTHEST = 10.0
"""A time is not carried to more than this many times the largest size timed, or below."""

Timed = Mapping[str, Sequence[tuple[float, float]]]
"""Scheme to (parameters, milliseconds) pairs of one family."""


class Timing(NamedTuple):
    """One model at one scheme on the device: milliseconds an image."""

    model: str
    scheme: str
    parameters: float
    milliseconds: float


Profile = Sequence[Timing]


def read_profile(paths: Sequence[Path]) -> list[Timing]:
    """What `bitscape bench` timed: milliseconds an image, at the smallest batch of each file.

    FileNotFoundError for a file that does not exist, ValueError for one that is no profile.
    """
    found: list[Timing] = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: `bitscape bench --out` writes it")
        try:
            content = json.loads(path.read_bytes())
            model, parameters, rows = content["model"], content["parameters"], content["rows"]
            batch = min(row["batch"] for row in rows)
            timed = [
                (row["scheme"], row["latency_ms"]["median"] / batch)
                for row in rows
                if row["batch"] == batch
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is no profile: make it with `bitscape bench --out`"
            ) from error
        if parameters is None:
            raise ValueError(f"{path} names no size: bench --against fp32 or bf16 as well")
        found += [Timing(model, scheme, parameters, time) for scheme, time in timed]
    return found


def of_family(profile: Profile, study: Study, family: str) -> Timed:
    """The timings of models of one family; those of another say nothing about it."""
    found: dict[str, list[tuple[float, float]]] = {}
    for one in profile:
        if family_of(one.model, study) == family:
            found.setdefault(one.scheme, []).append((one.parameters, one.milliseconds))
    return found


def family_of(model: str, study: Study) -> str | None:
    """The family of a model: as the study has it, else as its name begins; None for neither.

    "zoo:var-xl" is of "var" where the study knows that family but not this size.
    """
    known = {point.model: one.family for one in study.settings for point in one.points}
    if model in known:
        return known[model]
    name = model.split(":")[-1]
    families = dict.fromkeys(one.family for one in study.settings)
    return next((one for one in families if name == one or name.startswith(f"{one}-")), None)


def latency(points: Sequence[tuple[float, float]], parameters: float) -> float:
    """Milliseconds for a network of `parameters`: in proportion to the nearest size that was timed,
    and between two sizes along the line through them in logarithms."""
    sizes, times = np.array(sorted(points)).T
    if parameters <= sizes[0] or parameters >= sizes[-1]:
        end = 0 if parameters <= sizes[0] else -1
        return float(times[end] * parameters / sizes[end])
    return float(np.exp(np.interp(np.log(parameters), np.log(sizes), np.log(times))))


def times_beyond(points: Sequence[tuple[float, float]], parameters: float) -> float:
    """By what factor `parameters` lie outside the sizes that were timed; 1 inside."""
    sizes = [size for size, _ in points]
    return float(max(min(sizes) / parameters, parameters / max(sizes), 1.0))
