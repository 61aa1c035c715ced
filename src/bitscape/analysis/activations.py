"""How the inputs of layers are distributed, step by step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bitscape.analysis.trace import Subject
from bitscape.calibration import spread
from bitscape.structure import Kind, Role, Site, drive

QUANTILES = (0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999)
_ROLES = (Role.QKV, Role.FC1, Role.FC2)
_PLACES = ("early", "middle", "late")
_SAMPLED = 2**16


@dataclass(frozen=True)
class Distribution:
    """The inputs of one site: `bands[call]` are their quantiles at each call that runs it.

    `variation` is the standard deviation over calls of the range between the outer quantiles, in
    units of its mean.
    """

    site: str
    role: str
    place: str
    calls: list[int]
    bands: list[list[float]]
    variation: float


@dataclass(frozen=True)
class ActivationStudy:
    """The distributions at early, middle and late sites of three roles."""

    quantiles: list[float]
    sites: list[Distribution]
    summary: str


@torch.no_grad()
def activation_study(subject: Subject) -> ActivationStudy:
    """The quantiles of the inputs of the chosen sites along one trajectory of full precision."""
    pipeline = subject.pipeline
    chosen = choose_sites(pipeline.adapter.sites(pipeline.network))
    seen: dict[str, dict[int, list[float]]] = {site.name: {} for site, _ in chosen}
    now = _Counter()
    hooks = [
        pipeline.network.get_submodule(site.name).register_forward_pre_hook(
            _watching(seen[site.name], now)
        )
        for site, _ in chosen
    ]
    try:
        drive(pipeline.network, subject.start(), pipeline.clocks, now.count)
    finally:
        for hook in hooks:
            hook.remove()
    found = [_distribution(site, place, seen[site.name]) for site, place in chosen]
    widest = max(found, key=lambda each: each.variation)
    mean = sum(each.variation for each in found) / len(found)
    return ActivationStudy(
        list(QUANTILES),
        found,
        f"Over the calls, the range of inputs (0.1 to 99.9 %) varies by {mean:.0%} of its mean on "
        f"average over {len(found)} sites, most at {widest.site} ({widest.variation:.0%}).",
    )


def choose_sites(sites: Iterable[Site]) -> list[tuple[Site, str]]:
    """First, middle and last site of qkv, fc1 and fc2, or of the roles that come most often."""
    linear = [site for site in sites if site.kind is not Kind.ATTEND]
    names = [site.role for site in linear]
    common = sorted(set(names), key=lambda role: (-names.count(role), names.index(role)))
    roles = [role for role in _ROLES if role in names] or common[: len(_ROLES)]
    found: dict[str, tuple[Site, str]] = {}
    for role in roles:
        mine = [site for site in linear if site.role is role]
        for place, site in zip(
            _PLACES, (mine[0], mine[(len(mine) - 1) // 2], mine[-1]), strict=True
        ):
            found.setdefault(site.name, (site, place))
    return list(found.values())


class _Counter:
    """The number of calls answered so far."""

    def __init__(self) -> None:
        self.index = 0

    def count(self, call: object, output: object) -> None:
        self.index += 1


def _watching(
    bands: dict[int, list[float]], now: _Counter
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def watch(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        values = args[0].detach().float().flatten()
        values = values[spread(len(values), _SAMPLED, values.device)]
        bands[now.index] = torch.quantile(values.cpu(), torch.tensor(QUANTILES)).tolist()

    return watch


def _distribution(site: Site, place: str, bands: dict[int, list[float]]) -> Distribution:
    ranges = np.array([band[-1] - band[0] for band in bands.values()])
    variation = float(ranges.std() / max(float(ranges.mean()), 1e-30))
    return Distribution(
        site.name, site.role.value, place, list(bands), list(bands.values()), variation
    )
