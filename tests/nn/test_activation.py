import pytest
import torch

from bitscape.formats import Granularity, Int, TensorScheme, parse_scheme
from bitscape.nn import ActivationQuantizer
from bitscape.quantizers import Grid, fake_quantize
from bitscape.structure import StepClock

STATIC = TensorScheme(Int(8, signed=False), Granularity("step"), symmetric=False)


def table(rows: int, splits: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(rows, splits, generator=generator) * 0.02 + 0.01
    return scale, torch.randint(100, 150, (rows, splits), generator=generator).float()


def inputs(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_dynamic_range_is_found_for_each_token() -> None:
    scheme = parse_scheme("W8A8").default.activation
    assert scheme is not None
    quantizer = ActivationQuantizer(scheme, StepClock())
    x = inputs(2, 3, 8)
    assert torch.equal(quantizer(x)[1, 2], quantizer(x[1:2, 2:3])[0, 0])


def test_one_row_needs_no_clock() -> None:
    quantizer = ActivationQuantizer(STATIC, StepClock())
    scale, zero = table(1)
    quantizer.set_table(scale, zero)
    for x in (inputs(2, 3, 8), inputs(2, 8)):
        expected = fake_quantize(x, Grid(scale.view(()), zero.view(())), STATIC.format)
        assert torch.equal(quantizer(x), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_each_position_uses_its_own_row(shape: tuple[int, int]) -> None:
    clock = StepClock()
    quantizer = ActivationQuantizer(STATIC, clock)
    scale, zero = table(4)
    row_of = torch.tensor([3, 1, 0, 2, 2, 1])
    quantizer.set_table(scale, zero, row_of)
    index = torch.arange(shape[0] * shape[1]).view(shape)
    clock.set(index)
    x = inputs(2, 3, 8)
    y = quantizer(x)
    for b, t in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        row = row_of[index.expand(2, 3)[b, t]]
        grid = Grid(scale[row], zero[row])
        assert torch.equal(y[b, t], fake_quantize(x[b, t], grid, STATIC.format))


def test_vector_inputs_have_a_row_for_each_sample() -> None:
    clock = StepClock()
    quantizer = ActivationQuantizer(STATIC, clock, tokens=False)
    scale, zero = table(2)
    quantizer.set_table(scale, zero, torch.tensor([0, 1, 1]))
    x = inputs(3, 8)
    clock.set(torch.tensor([[0], [1], [2]]))
    y = quantizer(x)
    expected = fake_quantize(x[1], Grid(scale[1], zero[1]), STATIC.format)
    assert torch.equal(y[1], expected)
    clock.set(torch.tensor([[1, 2]]))
    assert torch.equal(quantizer(x)[1], expected)
    clock.set(torch.tensor([[0, 1]]))
    with pytest.raises(ValueError, match="row for each token"):
        quantizer(x)


def test_splits_have_ranges_of_their_own() -> None:
    quantizer = ActivationQuantizer(STATIC, StepClock(), splits=(3, 5))
    scale, zero = table(1, 2)
    quantizer.set_table(scale, zero)
    x = inputs(2, 3, 8)
    parts = [
        fake_quantize(part, Grid(scale[:, i], zero[:, i]), STATIC.format)
        for i, part in enumerate(x.split([3, 5], dim=-1))
    ]
    assert torch.equal(quantizer(x), torch.cat(parts, dim=-1))


def test_gradient_passes_straight_through() -> None:
    quantizer = ActivationQuantizer(STATIC, StepClock())
    quantizer.set_table(*table(1))
    x = (inputs(2, 3, 8) * 0.1).requires_grad_()
    quantizer(x).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_table_survives_a_change_of_dtype() -> None:
    quantizer = ActivationQuantizer(STATIC, StepClock())
    scale, zero = table(1)
    quantizer.set_table(scale, zero)
    quantizer.bfloat16()
    assert quantizer.table_scale is not None
    assert torch.equal(quantizer.table_scale, scale)
    assert quantizer(inputs(1, 1, 8).bfloat16()).dtype == torch.bfloat16


def test_misuse_is_refused() -> None:
    quantizer = ActivationQuantizer(STATIC, StepClock())
    scale, zero = table(2)
    with pytest.raises(RuntimeError, match="not set"):
        quantizer(inputs(1, 1, 8))
    with pytest.raises(ValueError, match="row_of"):
        quantizer.set_table(scale, zero)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        quantizer.set_table(scale, zero, torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="columns"):
        quantizer.set_table(*table(1, 2))
    quantizer.set_table(scale, zero, torch.tensor([0, 1]))
    with pytest.raises(RuntimeError, match="clock is not set"):
        quantizer(inputs(1, 1, 8))
