"""Weights to codes: which sites, in which order, and after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bitscape.calibration import CalibrationSet
from bitscape.formats import MixedInt, parse_scheme
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear, quantized_sites
from bitscape.passes import (
    Context,
    Greedy,
    Nearest,
    QuantizeWeights,
    check_weights,
    run,
    weight_sites,
)
from bitscape.passes.quantize_weights import within_splits
from bitscape.structure import Kind, Pipeline, Role, Site

Make = Callable[..., Context]
GREEDY = QuantizeWeights(Greedy())


def state(pipeline: Pipeline) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in pipeline.network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("rounder", [Nearest(), Greedy()], ids=["nearest", "greedy"])
def test_every_site_is_coded_and_reported(
    rounder: Nearest | Greedy, pipeline: Pipeline, context: Make
) -> None:
    told = context("W4A8")
    run([QuantizeWeights(rounder)], pipeline, told)
    names = [site.name for site, _ in weight_sites(pipeline, told.scheme)]
    layers = quantized_sites(pipeline.network)
    assert sorted(layers) == sorted(names)
    assert all(layer.coded for layer in layers.values())
    assert sorted(told.report["sites"]) == sorted(names)
    assert all(0 < entry["weight_error"] < 0.1 for entry in told.report["sites"].values())


def test_roles_follow_their_own_scheme(pipeline: Pipeline, context: Make) -> None:
    told = context("W4A16/ada=W8A16/fc2=W16A16")
    run([GREEDY], pipeline, told)
    for name, layer in quantized_sites(pipeline.network).items():
        assert isinstance(layer, QuantLinear | QuantConv2d)
        expected = "int8@channel" if layer.site.role == "ada" else "int4@channel"
        assert layer.coded is not None
        if layer.site.splits:
            expected = f"int4@g{layer.site.splits[0] * 9}"
            expected = expected if layer.weight_shape[-1] == 3 else f"int4@g{layer.site.splits[0]}"
        assert str(layer.coded.scheme) == expected == told.report["sites"][name]["scheme"]
    assert not any(site.role == "fc2" for site, _ in weight_sites(pipeline, told.scheme))


@pytest.mark.parametrize("sequential", ["block", "site"])
def test_a_killed_run_ends_in_the_same_result(
    sequential: str, pipeline: Pipeline, context: Make, tmp_path: Path
) -> None:
    step = QuantizeWeights(Greedy(), sequential)
    undisturbed = FAMILIES[pipeline.family].tiny()
    told = context("W3A16")
    run([step], undisturbed, told)
    total = len(told.report["sites"])

    def killed_at(count: int) -> Callable[[str, int, int], None]:
        def progress(text: str, done: int, of: int) -> None:
            assert (text, of) == ("quantizing weights", total)
            if done == count:
                raise KeyboardInterrupt

        return progress

    # Site by site a kill costs another sweep of the network for every site that was finished.
    for count in (1, total // 2, total - 1) if sequential == "block" else (total - 1,):
        victim = FAMILIES[pipeline.family].tiny()
        with pytest.raises(KeyboardInterrupt):
            run([step], victim, context("W3A16", workspace=tmp_path, progress=killed_at(count)))
    kept = len(list((tmp_path / "weights").iterdir()))
    assert kept >= 1
    survivor = context("W3A16", workspace=tmp_path)
    run([step], pipeline, survivor)
    assert same(state(pipeline), state(undisturbed))
    assert survivor.report == told.report


def test_finished_blocks_are_not_quantized_again(
    pipeline: Pipeline, context: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([GREEDY], FAMILIES[pipeline.family].tiny(), context("W3A16", workspace=tmp_path))

    def refuse(*_: object) -> None:
        raise AssertionError("this was done before")

    monkeypatch.setattr(Greedy, "__call__", refuse)
    run([GREEDY], pipeline, context("W3A16", workspace=tmp_path))
    assert all(layer.coded for layer in quantized_sites(pipeline.network).values())


def first_of(pipeline: Pipeline, role: Role) -> str:
    """The name of the first site with this role."""
    sites = pipeline.adapter.sites(pipeline.network)
    return next(site.name for site in sites if site.role is role)


def test_nan_in_a_weight_names_the_site(pipeline: Pipeline, context: Make) -> None:
    name = first_of(pipeline, Role.FC1)
    pipeline.network.get_submodule(name).weight.data[2, 3] = torch.nan
    with pytest.raises(ValueError, match=f"{name} has NaN"):
        run([QuantizeWeights(Nearest())], pipeline, context("W4A16"))


def test_a_group_that_does_not_divide_names_the_site(pipeline: Pipeline, context: Make) -> None:
    with pytest.raises(ValueError, match=r"\.\w+: groups of 24 do not divide a width of (16|32)"):
        check_weights(pipeline, context("W4A16@g24").scheme)


def test_the_prologue_is_seen_by_the_hessian(pipeline: Pipeline, context: Make) -> None:
    twin = FAMILIES[pipeline.family].tiny()
    told, plain = context("W4A16"), context("W4A16")
    scaled = first_of(pipeline, Role.QKV)
    run([], twin, plain)
    layer = twin.network.get_submodule(scaled)
    assert isinstance(layer, QuantLinear)
    # Powers of two move no rounding: only the ranges of the rows and the Hessian change.
    layer.affine(torch.full((layer.in_features,), 4.0))
    for target, report in ((pipeline, told), (twin, plain)):
        run([GREEDY], target, report)
    errors = [report.report["sites"][scaled]["output_error"] for report in (told, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)


def test_a_site_that_no_call_reaches_is_an_error(pipeline: Pipeline) -> None:
    empty = Context(parse_scheme("W4A16"), CalibrationSet((), {}))
    first = weight_sites(pipeline, empty.scheme)[0][0].name
    with pytest.raises(ValueError, match=f"{first} is never reached"):
        run([GREEDY], pipeline, empty)


def test_scales_of_a_weight_do_not_cross_a_split() -> None:
    pipeline = FAMILIES["unet"].tiny()
    sites = weight_sites(pipeline, parse_scheme("W4A16"))
    split = [(site, scheme) for site, scheme in sites if site.splits]
    assert split
    for site, scheme in split:
        columns = pipeline.network.get_submodule(site.name).weight[0].numel()
        widths = [columns * width // sum(site.splits) for width in site.splits]
        assert list(scheme.granularity.runs(columns)) == widths


@pytest.mark.parametrize(
    ("splits", "expected"),
    [((), "channel"), ((8, 8), "g72"), ((64, 32), "s576+288"), ((36, 32), "s324+288")],
)
def test_a_row_has_a_scale_for_each_split(splits: tuple[int, ...], expected: str) -> None:
    scheme = parse_scheme("W4A16").default.weight
    assert scheme is not None
    conv = torch.nn.Conv2d(sum(splits) or 12, 4, 3)
    site = Site("conv", Role.CONV, Kind.CONV, splits=splits)
    assert str(within_splits(scheme, site, conv)) == f"int4@{expected}"
    mixed = replace(scheme, format=MixedInt(4, (3, 4, 4, 5)))
    assert str(within_splits(mixed, site, conv)) == f"int4rows@{expected}"
