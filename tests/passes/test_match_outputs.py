"""Matched outputs: later layers make up for what rounding did to their inputs."""

from pathlib import Path

import pytest
import torch

from bitscape.calibration import CalibrationSet, record
from bitscape.formats import parse_scheme
from bitscape.models import FAMILIES
from bitscape.passes import Context, Greedy, Nearest, QuantizeActivations, QuantizeWeights, run
from bitscape.structure import Pipeline, invoke

RANGES = QuantizeActivations("minmax")
PLAIN = QuantizeWeights(Greedy())
MATCHED = QuantizeWeights(Greedy(), "site", matched=RANGES)


def calls_of(pipeline: Pipeline) -> CalibrationSet:
    """Calls of four images."""
    return record(pipeline, range(4), seed=7, batch=4, keep=3)


@torch.no_grad()
def outputs(pipeline: Pipeline, calls: CalibrationSet) -> torch.Tensor:
    """What the network answers to the calls."""
    return torch.cat([invoke(pipeline.network, pipeline.clocks, call) for call in calls.calls], 1)


@pytest.mark.parametrize(
    ("family", "scheme"), [("var", "W3A16"), ("var", "W4A8,static"), ("dit", "W4A8")]
)
def test_the_network_stays_nearer_to_full_precision(family: str, scheme: str) -> None:
    exact = FAMILIES[family].tiny()
    calls, errors = calls_of(exact), []
    for step in (PLAIN, MATCHED):
        pipeline = FAMILIES[family].tiny()
        run([step, RANGES], pipeline, Context(parse_scheme(scheme), calls))
        errors.append((outputs(pipeline, calls) - outputs(exact, calls)).square().sum())
    assert errors[1] < 0.9 * errors[0]


def test_a_killed_run_ends_in_the_same_result(tmp_path: Path) -> None:
    scheme = parse_scheme("W4A6,static")
    undisturbed, victim, survivor = (FAMILIES["var"].tiny() for _ in range(3))
    calls = calls_of(undisturbed)
    told = Context(scheme, calls)
    run([MATCHED, RANGES], undisturbed, told)

    def killed(text: str, done: int, total: int) -> None:
        if text == "quantizing weights" and done == total - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([MATCHED, RANGES], victim, Context(scheme, calls, workspace=tmp_path, progress=killed))
    resumed = Context(scheme, calls, workspace=tmp_path)
    run([MATCHED, RANGES], survivor, resumed)
    one, two = undisturbed.network.state_dict(), survivor.network.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert resumed.report == told.report
    sites = [s for s in survivor.adapter.sites(survivor.network) if s.tokens]
    assert all("input_ranges" in told.report["sites"][site.name] for site in sites)


def test_a_rounder_without_inputs_cannot_match() -> None:
    with pytest.raises(ValueError, match="reads inputs"):
        QuantizeWeights(Nearest(), matched=RANGES)
