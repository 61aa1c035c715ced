"""What every family must hold: sites exist, replay equals generation, folds are exact."""

import pytest
import torch
from torch import Tensor, nn

from bitscape.models import FAMILIES
from bitscape.nn import footprint, insert
from bitscape.structure import (
    Absorb,
    Attend,
    Call,
    Fold,
    Pipeline,
    Randomness,
    Site,
    WeighsSteps,
    drive,
    invoke,
)

family_names = pytest.mark.parametrize("family", list(FAMILIES))


def trajectory(pipeline: Pipeline) -> tuple[list[Call], list[Tensor]]:
    calls: list[Call] = []
    outputs: list[Tensor] = []

    def tap(call: Call, output: Tensor) -> None:
        calls.append(call)
        outputs.append(output)

    pipeline.latents(torch.tensor([0, 3, 5]), seed=2, tap=tap)
    return calls, outputs


@family_names
def test_every_site_block_and_fold_names_a_module(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    network, adapter = pipeline.network, pipeline.adapter
    sites = adapter.sites(network)
    names = {site.name for site in sites}
    assert len(names) == len(sites)
    for site in sites:
        assert isinstance(network.get_submodule(site.name), nn.Linear | nn.Conv2d | Attend)
    for block in adapter.blocks(network):
        network.get_submodule(block.name)
    consumers = [name for fold in adapter.folds(network) for name in fold.consumers]
    assert set(consumers) <= names
    assert len(set(consumers)) == len(consumers)


@family_names
def test_errors_of_a_step_weigh_one_on_average(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    adapter = pipeline.adapter
    if not isinstance(adapter, WeighsSteps):
        assert adapter.style == "autoregressive"
        return
    calls = trajectory(pipeline)[0]
    steps = torch.stack([call.step[0] for call in calls])
    weights = adapter.influence(steps, pipeline.sampler.get("steps"))
    assert weights.shape == (len(calls),)
    assert (weights >= 0).all()
    if pipeline.sampler.get("solver", "ddim") == "ddim":
        assert weights.mean() == pytest.approx(1.0, abs=1e-4)


@family_names
@torch.no_grad()
def test_replay_equals_generation(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    calls, outputs = trajectory(pipeline)
    replayed = pipeline.adapter.replay(calls)
    assert not any(call.state for call in replayed)
    got = [invoke(pipeline.network, pipeline.clocks, call) for call in replayed]
    if len(replayed) < len(calls):
        got, outputs = [torch.cat(got, dim=1)], [torch.cat(outputs, dim=1)]
    torch.testing.assert_close(got, outputs, rtol=1e-5, atol=1e-5)


@family_names
@torch.no_grad()
def test_folding_leaves_the_output_unchanged(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    network = pipeline.network.double()
    calls = [
        _double(call) for call in pipeline.adapter.replay(trajectory(FAMILIES[family].tiny())[0])
    ]
    before = [invoke(network, pipeline.clocks, call) for call in calls]
    drawn = torch.Generator().manual_seed(0)
    sites = {site.name: site for site in pipeline.adapter.sites(network)}
    for fold in pipeline.adapter.folds(network):
        if fold.takes:
            _fold(network, fold, sites, drawn)
    for call, expected in zip(calls, before, strict=True):
        got = invoke(network, pipeline.clocks, call)
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@family_names
@torch.no_grad()
def test_turning_within_heads_leaves_the_output_unchanged(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    network = pipeline.network.double()
    calls = [
        _double(call) for call in pipeline.adapter.replay(trajectory(FAMILIES[family].tiny())[0])
    ]
    before = [invoke(network, pipeline.clocks, call) for call in calls]
    drawn = torch.Generator().manual_seed(0)
    for fold in pipeline.adapter.folds(network):
        assert (fold.turn is not None) == (Absorb.ROTATION in fold.takes)
        if fold.turn is None:
            continue
        Q = torch.linalg.qr(torch.randn(fold.run, fold.run, generator=drawn, dtype=torch.float64)).Q
        fold.turn(network, lambda x, Q=Q: (x.unflatten(-1, (-1, len(Q))) @ Q).flatten(-2))
        for name in fold.consumers:
            weight = network.get_submodule(name).weight
            weight.copy_((weight.unflatten(-1, (-1, len(Q))) @ Q).flatten(-2))
    got = [invoke(network, pipeline.clocks, call) for call in calls]
    torch.testing.assert_close(got, before, rtol=1e-9, atol=1e-9)


@family_names
def test_every_parameter_costs_sixteen_bits_before_quantization(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    network = pipeline.network
    parameters = sum(parameter.numel() for parameter in network.parameters())
    insert(network, pipeline.adapter.sites(network), pipeline.clocks)
    assert footprint(network).model_bits == 16 * parameters


@family_names
def test_the_loss_of_a_lesson_is_finite_and_one_a_sample(family: str) -> None:
    pipeline = FAMILIES[family].tiny()
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    encoded = pipeline.adapter.encode(pipeline.tokenizer, images)
    assert len(encoded) == 3
    lesson = pipeline.adapter.lesson(encoded, torch.tensor([0, 1, 2]), Randomness(0, range(3)))
    beyond: list[int] = []
    output = drive(
        pipeline.network,
        lesson.start(),
        pipeline.clocks,
        lambda call, _: beyond.append(int(call.step.max()) - pipeline.adapter.steps[call.net]),
    )
    losses = pipeline.adapter.loss(output, lesson.target)
    assert losses.shape == (3,)
    assert losses.isfinite().all()
    assert max(beyond) < 0


def _double(call: Call) -> Call:
    args = tuple(
        a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in call.args
    )
    return Call(call.net, call.step, args)


def _fold(network: nn.Module, fold: Fold, sites: dict[str, Site], drawn: torch.Generator) -> None:
    """Push a random scale and shift into the producer and undo them in the consumers."""
    width = network.get_submodule(fold.consumers[0]).weight.shape[1]
    scale = torch.rand(width, generator=drawn, dtype=torch.float64) * 3 + 0.3
    shift = torch.randn(width, generator=drawn, dtype=torch.float64)
    if Absorb.SCALE not in fold.takes:
        scale = torch.ones_like(scale)
    if Absorb.SHIFT not in fold.takes:
        shift = torch.zeros_like(shift)
    fold.push(network, scale, shift)
    for name in fold.consumers:
        layer = network.get_submodule(name)
        assert sites[name].tokens
        # A convolution can follow a shifting producer only when it is one pixel wide.
        matrix = layer.weight.flatten(1)
        if Absorb.SHIFT in fold.takes and layer.bias is None:
            layer.bias = nn.Parameter(matrix @ shift)
        elif Absorb.SHIFT in fold.takes:
            layer.bias += matrix @ shift
        layer.weight *= scale.view(-1, *[1] * (layer.weight.ndim - 2))
