"""Bits of rows in a network: mean kept, file as planned, errors no worse than without."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from bitscape import artefacts
from bitscape.algorithms.row_bits import (
    keep_uniform,
    raise_by_error,
    swap_by_error,
    swap_by_kurtosis,
)
from bitscape.artefacts.weights import coded_to_tensors
from bitscape.calibration import CalibrationSet, RowSamples, record
from bitscape.formats import Granularity, Int, MixedInt, TensorScheme, parse_scheme, tensor_cost
from bitscape.models import FAMILIES
from bitscape.nn import QuantConv2d, QuantLinear, footprint, quantized_sites
from bitscape.passes import (
    AssignBits,
    BalanceInputs,
    Context,
    Greedy,
    Nearest,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    run,
)
from bitscape.passes.assign_bits import halves
from bitscape.passes.quantize_weights import weight_sites
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.structure import Kind, Pipeline, Role, Site, StepClock, invoke

pytest.importorskip("diffusers")
pytestmark = pytest.mark.unchecked

CHANNEL = Granularity("channel")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return FAMILIES["unet"].tiny()


@pytest.fixture(scope="module")
def data(pipeline: Pipeline) -> CalibrationSet:
    return record(pipeline, range(2), seed=5, batch=2, keep=2, steps=4)


@pytest.fixture(scope="module")
def mixed(pipeline: Pipeline, data: CalibrationSet) -> Pipeline:
    activations = QuantizeActivations("minmax", "step")
    passes = (BalanceInputs(), AssignBits(), QuantizeWeights(Greedy()), activations)
    return quantized(pipeline, data, "W2A8,static", *passes)[0]


def quantized(
    pipeline: Pipeline, data: CalibrationSet, scheme: str, *passes: Pass
) -> tuple[Pipeline, dict[str, Any]]:
    model, context = copy.deepcopy(pipeline), Context(parse_scheme(scheme), data)
    run(passes, model, context)
    return model, context.report


def coded(layer: QuantLinear | QuantConv2d, widths: list[int], base: int) -> TensorScheme:
    scheme = TensorScheme(MixedInt(base, tuple(widths)), CHANNEL)
    W = layer.effective_weight().detach().flatten(1)
    grid = weight_grid(W, scheme, minmax)
    layer.set_codes(quantize_weight(W, grid, scheme), grid, scheme)
    return scheme


@pytest.mark.parametrize("conv", [False, True], ids=["linear", "conv"])
@pytest.mark.parametrize("swapped", [0, 5])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_stored_bytes_equal_the_plan(bits: int, swapped: int, conv: bool) -> None:
    layer: QuantLinear | QuantConv2d
    if conv:
        site = Site("conv", Role.CONV, Kind.CONV)
        layer = QuantConv2d.of(nn.Conv2d(4, 32, 3), site, StepClock())
    else:
        layer = QuantLinear.of(nn.Linear(36, 32), Site("fc", Role.FC1), StepClock())
    widths = [bits - 1] * swapped + [bits] * (32 - 2 * swapped) + [bits + 1] * swapped
    scheme = coded(layer, widths, bits)
    assert layer.coded is not None
    stored = coded_to_tensors(layer.coded).values()
    plan = tensor_cost((32, 36), scheme)
    assert sum(t.numel() * t.element_size() for t in stored) == plan.total_bytes
    assert plan.nominal_bits == tensor_cost((32, 36), TensorScheme(Int(bits), CHANNEL)).nominal_bits


def test_mixed_rows_come_back_from_a_file_of_the_planned_size(
    mixed: Pipeline, data: CalibrationSet, tmp_path: Path
) -> None:
    artefacts.save(mixed, {"name": "x"}, {"layers": []}, tmp_path / "a")
    back, _ = artefacts.load(tmp_path / "a")
    expected, found = (invoke(p.network, p.clocks, data.calls[0]) for p in (mixed, back))
    assert torch.equal(found, expected)
    cost = footprint(mixed.network)
    plan = sum(site.cost.total_bytes for site in cost.sites)
    with safe_open(tmp_path / "a" / "model.safetensors", "pt") as file:
        stored = [file.get_tensor(n) for n in file.keys() if ".weight_" in n]  # noqa: SIM118
    assert sum(t.numel() * t.element_size() for t in stored) == plan
    inspected = artefacts.inspect(tmp_path / "a")
    assert inspected["weight_bytes"] == plan
    assert cost.nominal_weight_bits == 2
    assert inspected["nominal_weight_bits"] == 2 * cost.weights


def test_every_site_has_rows_of_mixed_width_with_the_scales_of_any_other(mixed: Pipeline) -> None:
    widths = set()
    schemes = {s.name: w for s, w in weight_sites(mixed, parse_scheme("W2A16"))}
    for name, layer in quantized_sites(mixed.network).items():
        assert isinstance(layer, QuantLinear | QuantConv2d) and layer.coded is not None
        assert isinstance(layer.coded.scheme.format, MixedInt)
        # A row has one, or one for each half of an input that is joined of two.
        assert layer.coded.scheme.granularity == schemes[name].granularity
        runs = schemes[name].granularity.runs(layer.coded.codes.shape[1])
        assert layer.coded.grid_scale.numel() == len(layer.coded.codes) * len(runs)
        widths |= set(layer.coded.scheme.format.widths)
    assert widths == {1, 2, 3}


def test_error_driven_swaps_are_never_worse_than_kurtosis(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    ours, theirs, plus = (
        quantized(pipeline, data, "W2A4,static", AssignBits(choice))[1]["sites"]
        for choice in (swap_by_error, swap_by_kurtosis, raise_by_error)
    )
    for name, entry in ours.items():
        mine, other = entry["row_bits"], theirs[name]["row_bits"]
        assert mine["error"] <= other["error"] * (1 + 1e-6)
        assert other["error"] <= other["error_uniform"] * (1 + 1e-6)
        assert set(plus[name]["row_bits"]["rows"]) <= {"2", "3"}


def test_uniform_rows_have_the_format_and_the_scales_of_swapped_ones(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    rounded = QuantizeWeights(Nearest("minmax"))
    kept, swapped = (
        quantized_sites(quantized(pipeline, data, "W2A16", AssignBits(choice), rounded)[0].network)
        for choice in (keep_uniform, swap_by_error)
    )
    split = 0
    for name, layer in kept.items():
        other = swapped[name]
        assert isinstance(layer, QuantLinear | QuantConv2d) and layer.coded is not None
        assert isinstance(other, QuantLinear | QuantConv2d) and other.coded is not None
        fmt = layer.coded.scheme.format
        assert isinstance(fmt, MixedInt) and set(fmt.widths) == {2}
        assert str(layer.coded.scheme) == str(other.coded.scheme)
        assert layer.coded.grid_scale.shape == other.coded.grid_scale.shape
        split += len(layer.site.splits) > 1
    assert split


def test_swaps_lower_the_error_of_rows_of_unequal_size(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    uneven = copy.deepcopy(pipeline)
    site = "backbone.down_blocks.0.resnets.0.conv1"
    with torch.no_grad():
        uneven.network.get_submodule(site).weight[::2] *= 8
    entry = quantized(uneven, data, "W3A8", AssignBits())[1]["sites"][site]["row_bits"]
    assert entry["rows"]["2"] == entry["rows"]["4"] >= 3
    assert entry["error"] < 0.6 * entry["error_uniform"]


@pytest.mark.parametrize("scheme", ["W8A8", "W1A8", "W4A16,asym", "We2m1A8"])
def test_formats_without_neighbouring_widths_are_left_alone(
    scheme: str, pipeline: Pipeline, data: CalibrationSet
) -> None:
    assert not AssignBits().needs_calibration(parse_scheme(scheme))
    assert "sites" not in quantized(pipeline, data, scheme, AssignBits())[1]


@torch.no_grad()
def test_a_balance_changes_no_output_and_survives_dead_channels(
    pipeline: Pipeline, data: CalibrationSet
) -> None:
    dead = copy.deepcopy(pipeline)
    resnet = "backbone.down_blocks.0.resnets.0"
    dead.network.get_submodule(f"{resnet}.conv1").weight[:, 0] = 0
    for name in ("weight", "bias"):
        getattr(dead.network.get_submodule(f"{resnet}.norm1"), name)[1] = 0
    model, report = quantized(dead, data, "W4A4,static", BalanceInputs((0.5,)))
    outputs = [invoke(p.network, p.clocks, data.calls[0]) for p in (model, dead)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-4)
    assert all(entry["balance"] == 0.5 for entry in report["sites"].values())


def test_a_row_of_one_bit_is_a_sign_times_a_scale() -> None:
    layer = QuantLinear.of(nn.Linear(16, 4), Site("fc", Role.FC1), StepClock())
    W = layer.effective_weight().detach().clone()
    coded(layer, [1, 2, 2, 3], 2)
    torch.testing.assert_close(layer.effective_weight()[0], W[0].sign() * W[0].abs().mean())


def test_what_is_judged_lies_at_positions_that_were_not_read() -> None:
    samples = RowSamples(Site("ada", Role.ADA, tokens=False))
    for step in (30, 20, 10):
        samples.update(torch.full((2, 4), float(step)), torch.tensor([[step]]))
    rows = samples.rows()
    read, judged = (rows.positions[half].tolist() for half in halves(rows))
    assert (read, judged) == ([10, 10, 30, 30], [20, 20])
    alone = RowSamples(Site("ada", Role.ADA, tokens=False))
    alone.update(torch.zeros(3, 4), torch.tensor([[5]]))
    assert [int(half.sum()) for half in halves(alone.rows())] == [2, 1]
