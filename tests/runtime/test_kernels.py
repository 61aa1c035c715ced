import copy

import pytest
import torch
from torch import nn

from bitscape.formats import Codebook, parse_scheme
from bitscape.nn import QuantLinear
from bitscape.quantizers import (
    bounds_grid,
    minmax,
    quantize_weight,
    round_centroids,
    tiles_of,
    weight_grid,
)
from bitscape.runtime import KERNELS, Capabilities, choose_kernels, int8
from bitscape.structure import Role, Site, StepClock

ALL = Capabilities(vnni=True, bf16=True)
MACHINE = Capabilities.probe()

CASES = [
    ("onednn-w8a8-static", "W8A8,static"),
    ("int8-w8a8-dynamic", "W8A8"),
    ("int8-w8a8-dynamic", "W8A6"),
    *(("int8-unpack", f"W{bits}A8") for bits in range(2, 8)),
    ("int8-unpack", "W4A8,static"),
    ("int8-unpack", "W6A6"),
    *(("bf16-unpack", f"W{bits}A16") for bits in range(2, 9)),
    ("bf16-unpack", "W3A16,asym"),
    ("bf16-unpack", "W4A16@g64"),
    ("bf16-unpack", "W5A16@g32,asym"),
    *(("fp32-unpack", f"W{bits}A16") for bits in range(1, 9)),
    ("fp32-unpack", "W3A16,asym"),
    ("fp32-unpack", "W4A16@g64"),
    ("dequant", "W4A8@g64"),
    ("dequant", "MXFP4"),
    ("dequant", "NVFP4"),
    ("dequant", "FP8_DYNAMIC"),
]


def make(
    text: str,
    *,
    width: int = 128,
    out: int = 48,
    bias: bool = True,
    prologue: str = "",
    rows: int = 1,
) -> tuple[QuantLinear, StepClock]:
    """A coded layer; its static ranges differ by position when `rows` is more than one."""
    torch.manual_seed(0)
    clock = StepClock()
    site = Site("fc", Role.FC1)
    layer = QuantLinear.of(nn.Linear(width, out, bias=bias), site, clock).requires_grad_(False)
    edit(layer, prologue)
    scheme = parse_scheme(text).default
    if scheme.weight is not None:
        W = layer.effective_weight()
        grid = weight_grid(W, scheme.weight, minmax)
        layer.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
    if scheme.activation is not None:
        quantizer = layer.quantize_activation(scheme.activation)
        if not scheme.activation.dynamic:
            reach = torch.linspace(2.0, 4.0, rows).view(-1, 1)
            fmt = scheme.activation.format
            table = bounds_grid(-reach, 1.3 * reach, fmt, scheme.activation.symmetric)
            quantizer.set_table(table.scale, table.zero, torch.arange(7) % rows)
    return layer, clock


def edit(layer: QuantLinear, prologue: str) -> None:
    width = layer.in_features
    if "affine" in prologue:
        layer.affine(torch.rand(width) + 0.5, torch.randn(width) * 0.2)
    if "scale" in prologue:
        layer.affine(torch.rand(width) + 0.5)
    if "shift" in prologue:
        layer.affine(torch.ones(width), torch.randn(width) * 0.2)
    if "rotate" in prologue:
        layer.rotate(width, torch.randint(2, (width,)) * 2.0 - 1)


def check(kernel: str, layer: QuantLinear, x: torch.Tensor, *, slack: float = 1.0) -> None:
    expected = layer(x)
    y = KERNELS[kernel].build(layer)(x)
    assert y.dtype == expected.dtype
    assert y.shape == expected.shape
    difference = (y.float() - expected.float()).abs().max() / expected.float().abs().max()
    assert float(difference) <= slack * KERNELS[kernel].tolerance


def runnable(kernel: str, layer: QuantLinear) -> None:
    assert KERNELS[kernel].supports(layer, ALL) is None
    if KERNELS[kernel].supports(layer, MACHINE) is not None:
        pytest.skip("this machine lacks the instructions")


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "plain"])
@pytest.mark.parametrize(("kernel", "text"), CASES)
def test_kernel_equals_the_layer(kernel: str, text: str, bias: bool) -> None:
    layer, clock = make(text, bias=bias)
    runnable(kernel, layer)
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    check(kernel, layer, torch.randn(2, 5, 128))


@pytest.mark.parametrize(("kernel", "text"), CASES)
def test_a_kernel_can_be_had_by_its_name(kernel: str, text: str) -> None:
    network = nn.Sequential(make(text)[0])
    assert choose_kernels(network, kernel=kernel, machine=ALL)[0].kernel == kernel


@pytest.mark.parametrize("prologue", ["affine", "scale", "shift", "rotate", "affine rotate"])
@pytest.mark.parametrize(
    ("kernel", "text"), [CASES[0], CASES[1], CASES[5], ("bf16-unpack", "W4A16")]
)
def test_prologue_is_fused_exactly(kernel: str, text: str, prologue: str) -> None:
    layer, _ = make(text, prologue=prologue)
    runnable(kernel, layer)
    check(kernel, layer, torch.randn(2, 5, 128))


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 5), (2, 5)])
@pytest.mark.parametrize("text", ["W8A8,static", "W4A8,static"])
def test_step_tables_follow_the_clock(text: str, shape: tuple[int, int]) -> None:
    layer, clock = make(text, rows=3)
    kernel = "onednn-w8a8-static" if text.startswith("W8") else "int8-unpack"
    runnable(kernel, layer)
    clock.set(torch.arange(shape[0] * shape[1]).view(shape) % 7)
    check(kernel, layer, torch.randn(2, 5, 128))


@pytest.mark.parametrize("text", ["W8A8", "W4A8", "W8A8,static", "W4A8,static"])
def test_rows_keep_their_own_ranges_in_every_part(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "_CHUNK", 3)
    layer, clock = make(text, rows=3)
    names = ("int8-unpack", "int8-w8a8-dynamic", "onednn-w8a8-static")
    [kernel] = [name for name in names if KERNELS[name].supports(layer, ALL) is None][-1:]
    runnable(kernel, layer)
    clock.set(torch.arange(10).view(2, 5) % 7)
    check(kernel, layer, torch.randn(2, 5, 128) * torch.logspace(-1, 0, 10).view(2, 5, 1))


@pytest.mark.parametrize(("kernel", "text"), [*CASES[:3], CASES[5], ("bf16-unpack", "W4A16")])
def test_bfloat16_input_gives_bfloat16_output(kernel: str, text: str) -> None:
    layer, _ = make(text)
    runnable(kernel, layer)
    layer.bfloat16()
    # The layer itself rounds to bfloat16 several times, a kernel once.
    check(kernel, layer, torch.randn(3, 4, 128).bfloat16(), slack=3)


@pytest.mark.parametrize(("kernel", "text"), [*CASES[:2], CASES[5], ("bf16-unpack", "W3A16")])
def test_shapes_that_fill_no_register(kernel: str, text: str) -> None:
    layer, _ = make(text, width=67, out=13)
    runnable(kernel, layer)
    for rows in (1, 3, 17):
        check(kernel, layer, torch.randn(rows, 67))


def test_int8_takes_extreme_inputs() -> None:
    layer, _ = make("W8A8,static")
    runnable("onednn-w8a8-static", layer)
    x = torch.randn(4, 128)
    x[0], x[1], x[2, 0], x[2, 1] = 0, 1e6, 1e30, -1e30
    check("onednn-w8a8-static", layer, x)
    layer, _ = make("W8A8")
    check("int8-w8a8-dynamic", layer, x)


@pytest.mark.parametrize(
    ("kernel", "text", "reason"),
    [
        ("onednn-w8a8-static", "W8A8", "dynamic"),
        ("onednn-w8a8-static", "W4A8,static", "4 bits"),
        ("int8-w8a8-dynamic", "W8A8,static", "static"),
        ("int8-w8a8-dynamic", "W8A16", "16 bits"),
        ("int8-unpack", "W4A8,asym", "zero points"),
        ("int8-unpack", "W4A8@g64", "scale a group"),
        ("int8-unpack", "MXFP4", "not integer"),
        ("bf16-unpack", "W4A8", "quantized"),
    ],
)
def test_reason_is_given(kernel: str, text: str, reason: str) -> None:
    layer, _ = make(text)
    assert reason in str(KERNELS[kernel].supports(layer, ALL))


def test_missing_instructions_are_a_reason() -> None:
    none = Capabilities(vnni=False, bf16=False)
    assert "VNNI" in str(KERNELS["int8-w8a8-dynamic"].supports(make("W8A8")[0], none))
    assert "bfloat16" in str(KERNELS["bf16-unpack"].supports(make("W4A16")[0], none))


@pytest.mark.parametrize(("kernel", "text"), CASES)
def test_change_of_dtype_rounds_no_scale(kernel: str, text: str) -> None:
    layer, clock = make(text, bias=False)
    runnable(kernel, layer)
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    x = torch.randn(2, 5, 128)
    module = KERNELS[kernel].build(layer)
    expected = module(x)
    assert torch.equal(module.bfloat16()(x), expected)


@pytest.mark.parametrize(("kernel", "text"), [*CASES[:2], CASES[3], CASES[-1]])
def test_packed_layer_can_be_copied(kernel: str, text: str) -> None:
    layer, clock = make(text)
    runnable(kernel, layer)
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    x = torch.randn(2, 5, 128)
    module = KERNELS[kernel].build(layer)
    assert torch.equal(copy.deepcopy(module)(x), module(x))


def test_layer_is_whole_after_building() -> None:
    layer, _ = make("W4A16")
    before = layer(torch.ones(1, 128))
    for name in ("dequant", "bf16-unpack"):
        KERNELS[name].build(layer)
    assert torch.equal(layer(torch.ones(1, 128)), before)


@pytest.mark.parametrize("text", ["W8A8", "W8A8,static", "W4A8", "W4A16", "W8A16"])
def test_codes_may_come_as_a_transposed_view(text: str) -> None:
    layer, clock = make(text)
    twin, _ = make(text)
    assert twin.coded is not None
    codes = twin.coded.codes.T.contiguous().T
    twin.set_codes(codes, twin.coded.grid, twin.coded.scheme)
    clock.set(torch.zeros(1, 1, dtype=torch.int64))
    twin.clock.set(torch.zeros(1, 1, dtype=torch.int64))
    machine = Capabilities.probe()
    x = torch.randn(2, 8, layer.in_features, generator=torch.Generator().manual_seed(0))
    for kernel in KERNELS.values():
        if kernel.supports(layer, machine) is None:
            assert torch.equal(kernel.build(twin)(x), kernel.build(layer)(x))


@pytest.mark.parametrize("text", ["W2A16,vq2d", "W3A8@g600,vq2d", "W2A8,vq4d"])
def test_codebooks_run_dequantized_and_nowhere_else(text: str) -> None:
    scheme = parse_scheme(text).default
    assert scheme.weight is not None
    assert isinstance(scheme.weight.format, Codebook)
    layer, _ = make("W16A16" if scheme.activation is None else "W16A8")
    entries, dim = scheme.weight.format.entries, scheme.weight.format.dim
    tiles = int(tiles_of((48, 128), scheme.weight).max()) + 1
    codes = torch.randint(entries, (48, 128 // dim)).to(torch.uint8)
    centroids = round_centroids(torch.randn(tiles, entries, dim))
    layer.set_codes(codes, centroids, scheme.weight)
    supported = [name for name, k in KERNELS.items() if k.supports(layer, ALL) is None]
    assert supported == ["dequant"]
    check("dequant", layer, torch.randn(3, 128))
