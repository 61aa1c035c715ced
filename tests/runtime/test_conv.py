"""int8 convolutions equal the fake-quantized layer: padding, splits, steps, rows of mixed width."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from bitscape.formats import Granularity, MixedInt, TensorScheme, parse_scheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.runtime import KERNELS, Capabilities, pack_network, resident_bytes
from bitscape.runtime.conv import Part, parts_of
from bitscape.structure import Kind, Role, Site, StepClock

KERNEL = KERNELS["onednn-conv-static"]
ALL = Capabilities(vnni=True, bf16=True)
MACHINE = Capabilities.probe()
CLOCK = StepClock()


def code(layer: QuantConv2d | QuantLinear, scheme: TensorScheme) -> None:
    W = layer.effective_weight().detach().flatten(1)
    grid = weight_grid(W, scheme, minmax)
    layer.set_codes(quantize_weight(W, grid, scheme), grid, scheme)


def make(
    scheme: str,
    *,
    splits: tuple[int, ...] = (),
    prologue: str = "",
    rows: int = 1,
    mixed: bool = False,
    apart: bool = False,
    channels: int = 24,
    **options: object,
) -> QuantConv2d:
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, 20, 3, **{"padding": 1, **options})  # type: ignore[arg-type]
    site = Site("conv", Role.CONV, Kind.CONV, splits=splits)
    layer = QuantConv2d.of(conv, site, CLOCK).requires_grad_(False)
    if prologue:
        shift = 0.3 * torch.randn(24) if "shift" in prologue else None
        layer.affine(torch.rand(24) + 0.5, shift)
    wanted = parse_scheme(scheme).default
    assert wanted.weight is not None and wanted.activation is not None
    weight = wanted.weight
    if apart:
        scales = Granularity("split", widths=tuple(9 * width for width in splits))
        weight = replace(weight, granularity=scales)
    if mixed:
        base = int(weight.format.bits)
        widths = (base - 1,) * 7 + (base,) * 6 + (base + 1,) * 7
        weight = replace(weight, format=MixedInt(base, widths))
    code(layer, weight)
    activation = layer.quantize_activation(wanted.activation)
    columns = max(1, len(splits))
    highest = wanted.activation.format.highest
    scale = (2 + torch.rand(rows, columns)) * 2.5 / highest
    zero = (highest * (0.3 + 0.3 * torch.rand(rows, columns))).round()
    activation.set_table(scale, zero, torch.arange(8) % rows if rows > 1 else None)
    return layer


CASES = {
    "plain": {},
    "strided": {"stride": 2},
    "unpadded": {"padding": 0},
    "circular": {"padding_mode": "circular"},
    "without bias": {"bias": False},
    "scaled": {"prologue": "scale"},
    "shifted": {"prologue": "shift"},
    "split": {"splits": (16, 8)},
    "split and scaled": {"splits": (10, 14), "prologue": "scale"},
    "scales apart": {"splits": (10, 14), "apart": True},
    "scales apart, shifted": {"splits": (17, 7), "apart": True, "prologue": "shift"},
}


@pytest.mark.skipif(not MACHINE.vnni, reason="this machine lacks the instructions")
@pytest.mark.parametrize("scheme", ["W8A8,static", "W4A4,static"])
@pytest.mark.parametrize("case", CASES)
def test_kernel_equals_the_layer(case: str, scheme: str) -> None:
    layer = make(scheme, **CASES[case])
    assert KERNEL.supports(layer, ALL) is None
    x = 2 * torch.randn(2, 24, 9, 7)
    expected, found = layer(x), KERNEL.build(layer)(x)
    difference = (found - expected).abs() / expected.abs().max()
    # The layer rounds x / s + z twice, so that of thousands of inputs one may fall the other way.
    assert float(difference.quantile(0.9)) < 1e-6
    assert float(difference.max()) < 0.03


@pytest.mark.skipif(not MACHINE.vnni, reason="this machine lacks the instructions")
@pytest.mark.parametrize("steps", [[[3]], [[0], [5]]], ids=["one step", "mixed steps"])
def test_steps_bring_their_own_scale_and_zero_point(steps: list[list[int]]) -> None:
    layer = make("W8A8,static", splits=(16, 8), rows=3)
    x = torch.randn(2, 24, 8, 8)
    CLOCK.set(torch.tensor(steps))
    expected, found = layer(x), KERNEL.build(layer)(x)
    CLOCK.unset()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("scheme", "splits", "apart"),
    [
        ("W2A4,static", (16, 8), False),
        ("W3A6,static", (16, 8), False),
        ("W4A8,static", (16, 8), False),
        # A scale for each half of a row, as wide as the other or not.
        ("W2A4@g108,static", (12, 12), False),
        ("W3A6@g108,static", (12, 12), False),
        ("W2A4,static", (14, 10), True),
        ("W3A6,static", (16, 8), True),
    ],
)
@pytest.mark.parametrize("kernel", ["onednn-conv-static", "dequant"])
def test_rows_of_mixed_width_are_evaluated(
    kernel: str, scheme: str, splits: tuple[int, int], apart: bool
) -> None:
    layer = make(scheme, mixed=True, splits=splits, apart=apart)
    assert KERNELS[kernel].supports(layer, ALL) is None
    if KERNELS[kernel].supports(layer, MACHINE) is not None:
        pytest.skip("this machine lacks the instructions")
    x = torch.randn(2, 24, 6, 6)
    expected, found = layer(x), KERNELS[kernel].build(layer)(x)
    assert float((found - expected).abs().max() / expected.abs().max()) <= 1e-5


@pytest.mark.parametrize("kernel", ["int8-unpack", "dequant"])
@pytest.mark.parametrize("base", [2, 3, 4])
def test_linear_rows_of_mixed_width_are_evaluated(kernel: str, base: int) -> None:
    torch.manual_seed(0)
    layer = QuantLinear.of(nn.Linear(48, 24), Site("fc", Role.FC1), CLOCK).requires_grad_(False)
    wanted = parse_scheme(f"W{base}A8").default
    assert wanted.weight is not None and wanted.activation is not None
    widths = (base - 1,) * 6 + (base,) * 12 + (base + 1,) * 6
    code(layer, TensorScheme(MixedInt(base, widths), wanted.weight.granularity))
    layer.quantize_activation(wanted.activation)
    if KERNELS[kernel].supports(layer, MACHINE) is not None:
        pytest.skip("this machine lacks the instructions")
    x, packed = torch.randn(5, 48), KERNELS[kernel].build(layer)
    expected, found = layer(x), packed(x)
    limit = KERNELS[kernel].tolerance
    assert float((found - expected).abs().max() / expected.abs().max()) <= limit
    # Eight rows of a plane share their bytes: six rows are padded to eight.
    codes = 48 * (8 * (base - 1) + 16 * base + 8 * (base + 1)) // 8
    assert resident_bytes(packed) < codes + 1000


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("W8A8", "each sample"),
        ("W4A8,asym,static", "zero points"),
        ("We2m1A8,static", "not integer"),
    ],
)
def test_reason_is_given(scheme: str, reason: str) -> None:
    layer = make("W8A8,static")
    wanted = parse_scheme(scheme).default
    assert wanted.weight is not None and wanted.activation is not None
    layer = QuantConv2d.of(nn.Conv2d(24, 20, 3), layer.site, CLOCK).requires_grad_(False)
    code(layer, wanted.weight)
    layer.quantize_activation(wanted.activation)
    assert reason in str(KERNEL.supports(layer, ALL))


def test_groups_of_one_scale_are_one_part() -> None:
    layer = make("W8A8@g72,static", splits=(16, 8))
    assert layer.coded is not None
    assert len(parts_of(layer)) == 3
    layer.coded.grid_scale = layer.coded.grid_scale[:, :1].expand(-1, 3, -1).clone()
    assert [(part.start, part.stop) for part in parts_of(layer)] == [(0, 16), (16, 24)]


@pytest.mark.skipif(not MACHINE.vnni, reason="this machine lacks the instructions")
def test_a_border_inside_a_channel_leaves_no_product() -> None:
    # Groups of 500 columns end in the middle of a channel of nine.
    layer = make("W8A8@g500,static", channels=500)
    assert Part(55, 56, 0) in parts_of(layer)
    assert "some of only 1 channels" in str(KERNEL.supports(layer, ALL))


def test_any_number_of_wide_parts_is_multiplied() -> None:
    layer = make("W8A8@g288,static", splits=(128, 32), channels=160)
    assert len(parts_of(layer)) == 5
    assert KERNEL.supports(layer, ALL) is None
    x = torch.randn(1, 160, 5, 5)
    expected, found = layer(x), KERNEL.build(layer)(x)
    # Twice rounded inputs, see above.
    assert float((found - expected).abs().max() / expected.abs().max()) < 0.03


def test_narrow_parts_are_left_to_other_kernels() -> None:
    layer = make("W8A8@g72,static", splits=(16, 8))
    assert "3 parts, some of only 8 channels" in str(KERNEL.supports(layer, ALL))
    assert KERNEL.supports(make("W8A8,static", splits=(16, 8)), ALL) is None


@pytest.mark.skipif(not MACHINE.vnni, reason="this machine lacks the instructions")
def test_a_packed_convolution_can_be_copied_and_keeps_its_scales() -> None:
    network = nn.Sequential(make("W8A8,static"))
    [choice] = pack_network(network)
    assert choice.kernel == KERNEL.name
    assert choice.real
    x = torch.randn(1, 24, 5, 5)
    expected = network(x)
    assert torch.equal(copy.deepcopy(network)(x), expected)
    assert torch.equal(network.bfloat16()(x), expected)
