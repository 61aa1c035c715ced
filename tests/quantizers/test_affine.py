import pytest
import torch

from bitscape.formats import Float, Format, Int, Ternary
from bitscape.quantizers import (
    Grid,
    dequantize,
    fake_quantize,
    lsq_quantize,
    minmax,
    quantize,
)

FORMATS: list[Format] = [Int(4), Int(3, signed=False), Float(2, 1), Float(4, 3), Ternary()]
every_format = pytest.mark.parametrize("fmt", FORMATS, ids=str)


def weight(rows: int = 6, size: int = 64) -> torch.Tensor:
    return torch.randn(rows, 1, size, generator=torch.Generator().manual_seed(0))


def grid_of(x: torch.Tensor, fmt: Format) -> Grid:
    return minmax(x, fmt, symmetric=fmt.lowest < 0)


@every_format
def test_fake_quantize_equals_quantize_then_dequantize(fmt: Format) -> None:
    x = weight().requires_grad_()
    grid = grid_of(x.detach(), fmt)
    expected = dequantize(quantize(x.detach(), grid, fmt), grid)
    assert torch.equal(fake_quantize(x, grid, fmt), expected)
    assert torch.equal(fake_quantize(x.detach(), grid, fmt), expected)


@every_format
def test_grid_points_stay_where_they_are(fmt: Format) -> None:
    x = weight()
    grid = grid_of(x, fmt)
    once = fake_quantize(x, grid, fmt)
    assert torch.equal(fake_quantize(once, grid, fmt), once)


@every_format
def test_error_is_at_most_half_the_widest_spacing(fmt: Format) -> None:
    x = weight()
    grid = grid_of(x, fmt)
    half = grid.scale * float(fmt.values().diff().max()) / 2
    assert bool(((fake_quantize(x, grid, fmt) - x).abs() <= half * 1.0001).all())


@every_format
def test_gradient_is_straight_through_inside_and_zero_outside(fmt: Format) -> None:
    x = weight()
    grid = grid_of(x, fmt)
    grid = Grid(grid.scale / 2, grid.zero)
    x.requires_grad_()
    fake_quantize(x, grid, fmt).sum().backward()
    u = x.detach() / grid.scale + (0.0 if grid.zero is None else grid.zero)
    inside = (u >= fmt.lowest) & (u <= fmt.highest)
    assert bool(inside.any())
    assert not bool(inside.all())
    torch.testing.assert_close(x.grad, inside.float())


@every_format
def test_lsq_gradients_are_those_of_the_paper(fmt: Format) -> None:
    x = weight()
    grid = grid_of(x, fmt)
    scale = (grid.scale * 0.6).requires_grad_()
    zero = None if grid.zero is None else grid.zero.clone().requires_grad_()
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    (lsq_quantize(x, scale, zero, fmt, grad_scale=0.25) * upstream).sum().backward()
    z = torch.zeros_like(scale) if zero is None else zero.detach()
    s = scale.detach()
    u = x / s + z
    inside = ((u >= fmt.lowest) & (u <= fmt.highest)).float()
    slope = (fmt.round(u) - z - inside * x / s) * upstream
    expected = 0.25 * slope.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(scale.grad, expected, atol=1e-4, rtol=1e-3)
    if zero is not None:
        outside = (-s * (1 - inside) * upstream).sum(dim=-1, keepdim=True)
        torch.testing.assert_close(zero.grad, 0.25 * outside, atol=1e-5, rtol=1e-4)


def test_lsq_finds_the_best_scale() -> None:
    x = weight(1, 4096)
    scale = minmax(x, Int(3), True).scale.requires_grad_()
    start = float((lsq_quantize(x, scale.detach(), None, Int(3)) - x).square().mean())
    optimizer = torch.optim.Adam([scale], lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        loss = (lsq_quantize(x, scale, None, Int(3)) - x).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.6 * start


def test_dtype_of_the_input_is_kept() -> None:
    x = weight().to(torch.bfloat16)
    grid = minmax(x, Int(8), True)
    assert grid.scale.dtype == torch.float32
    assert fake_quantize(x, grid, Int(8)).dtype == torch.bfloat16


def test_scale_and_zero_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Grid(torch.ones(2, 1), torch.ones(1, 1))
