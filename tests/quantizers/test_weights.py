import pytest
import torch

from bitscape.formats import (
    Codebook,
    Granularity,
    Int,
    MixedInt,
    TensorScheme,
    known_schemes,
    parse_scheme,
    parse_tensor_scheme,
)
from bitscape.quantizers import (
    RANGES,
    dequantize_weight,
    fake_quantize,
    from_groups,
    minmax,
    quantize_weight,
    to_groups,
    weight_grid,
)

# Codebooks have centroids in place of a grid: tests/quantizers/test_codebooks.py.
WEIGHTS = sorted(
    {
        str(w)
        for name in known_schemes()
        if (w := parse_scheme(name).default.weight) is not None
        and not isinstance(w.format, Codebook)
    }
    | {"ternary@channel", "e3m0@g32", "uint2@g64", "uint4@tensor", "int4@s80+48", "uint2@s3+125"}
)


def weight() -> torch.Tensor:
    return torch.randn(12, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("text", WEIGHTS)
@pytest.mark.parametrize("rule", RANGES)
def test_codes_decode_to_the_fake_quantized_weight(text: str, rule: str) -> None:
    scheme = parse_tensor_scheme(text)
    W = weight()
    grid = weight_grid(W, scheme, RANGES[rule])
    codes = quantize_weight(W, grid, scheme)
    assert codes.dtype == torch.uint8
    assert int(codes.max()) < 1 << scheme.format.code_bits
    found = dequantize_weight(codes, grid, scheme)
    grouped = fake_quantize(to_groups(W, scheme.granularity), grid, scheme.format)
    assert torch.equal(found, from_groups(grouped, W.shape, scheme.granularity))
    assert torch.equal(quantize_weight(found, grid, scheme), codes)


@pytest.mark.parametrize("granularity", ["tensor", "channel", "g64", "g16"])
def test_eight_bits_lose_little(granularity: str) -> None:
    scheme = parse_tensor_scheme(f"int8@{granularity}")
    W = weight()
    grid = weight_grid(W, scheme, minmax)
    found = dequantize_weight(quantize_weight(W, grid, scheme), grid, scheme)
    assert float((found - W).norm() / W.norm()) < 0.01


def test_smaller_groups_lose_less() -> None:
    W = weight() * torch.logspace(-1, 1, 128)
    losses = []
    for text in ("int3@tensor", "int3@channel", "int3@g32", "int3@g8"):
        scheme = parse_tensor_scheme(text)
        grid = weight_grid(W, scheme, minmax)
        found = dequantize_weight(quantize_weight(W, grid, scheme), grid, scheme)
        losses.append(float((found - W).square().mean()))
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("rule", RANGES)
@pytest.mark.parametrize("number", ["int3", "uint4", "ternary"])
def test_splits_are_weights_of_their_own(number: str, rule: str) -> None:
    W, widths = weight(), [100, 28]
    scheme = parse_tensor_scheme(f"{number}@s{widths[0]}+{widths[1]}")
    grid = weight_grid(W, scheme, RANGES[rule])
    halves = W.split(widths, 1), quantize_weight(W, grid, scheme).split(widths, 1)
    for index, (part, found) in enumerate(zip(*halves, strict=True)):
        alone = parse_tensor_scheme(f"{number}@g{part.shape[1]}")
        expected = weight_grid(part.contiguous(), alone, RANGES[rule])
        assert torch.equal(grid.scale[:, index], expected.scale[:, 0])
        assert torch.equal(found, quantize_weight(part, expected, alone))


def test_rows_of_one_bit_have_the_mean_of_each_split() -> None:
    W = weight()
    splits = Granularity("split", widths=(100, 28))
    scheme = TensorScheme(MixedInt(2, (1,) * len(W)), splits)
    mean = torch.stack([part.abs().mean(dim=1) for part in W.split([100, 28], 1)], dim=1)
    grid = weight_grid(W, scheme, minmax)
    torch.testing.assert_close(grid.scale.squeeze(-1), mean, rtol=1e-3, atol=0)


def test_half_precision_weights_are_read_in_full() -> None:
    scheme = parse_tensor_scheme("int4@channel")
    W = weight().to(torch.bfloat16)
    grid = weight_grid(W, scheme, minmax)
    assert torch.equal(grid.scale, weight_grid(W.float(), scheme, minmax).scale)
    codes = quantize_weight(W, grid, scheme)
    assert torch.equal(codes, quantize_weight(W.float(), grid, scheme))


def test_grid_has_the_shape_of_the_groups() -> None:
    shapes = {"tensor": (1, 1, 1), "channel": (12, 1, 1), "g64": (12, 2, 1), "s120+8": (12, 2, 1)}
    for granularity, shape in shapes.items():
        scheme: TensorScheme = parse_tensor_scheme(f"uint4@{granularity}")
        grid = weight_grid(weight(), scheme, minmax)
        assert grid.zero is not None
        assert grid.scale.shape == grid.zero.shape == shape
        assert scheme.format == Int(4, signed=False)
