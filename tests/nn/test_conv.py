import pytest
import torch
from torch import nn

from bitscape.formats import Granularity, Int, TensorScheme, parse_scheme
from bitscape.nn import QuantConv2d
from bitscape.quantizers import minmax, quantize_weight, weight_grid
from bitscape.structure import Absorb, Kind, Role, Site, StepClock

SITE = Site("conv", Role.CONV, Kind.CONV)

CONVS = {
    "plain": {"kernel_size": 3},
    "padded": {"kernel_size": 3, "padding": 1},
    "same": {"kernel_size": 3, "padding": "same", "dilation": 2},
    "strided": {"kernel_size": 3, "padding": 1, "stride": 2},
    "grouped": {"kernel_size": 3, "padding": 1, "groups": 4},
    "reflected": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "pointwise": {"kernel_size": 1, "bias": False},
}


def make(name: str) -> tuple[QuantConv2d, nn.Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, **CONVS[name]).requires_grad_(False)
    twin = nn.Conv2d(8, 12, **CONVS[name]).requires_grad_(False)
    twin.load_state_dict(conv.state_dict())
    return QuantConv2d.of(conv, SITE, StepClock()), twin, torch.randn(2, 8, 9, 9)


@pytest.mark.parametrize("name", CONVS)
def test_affine_preserves_output(name: str) -> None:
    layer, conv, x = make(name)
    torch.testing.assert_close(layer(x), conv(x))
    layer.affine(torch.rand(8) + 0.5, torch.randn(8))
    layer.affine(torch.rand(8) + 0.5)
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-5, atol=1e-5)


def test_fold_of_the_scale_preserves_output() -> None:
    layer, conv, x = make("padded")
    scale = torch.rand(8) + 0.5
    layer.affine(scale)
    layer.drop_prologue({Absorb.SCALE})
    torch.testing.assert_close(layer(x / scale[:, None, None]), conv(x), rtol=1e-5, atol=1e-5)


def test_shift_cannot_be_folded_through_zero_padding() -> None:
    layer, _, _ = make("padded")
    layer.affine(torch.ones(8), torch.randn(8))
    with pytest.raises(ValueError, match="pads with zeros"):
        layer.drop_prologue()


@pytest.mark.parametrize("name", ["padded", "grouped"])
def test_coded_kernel_is_near_the_float_one(name: str) -> None:
    layer, conv, x = make(name)
    scheme = parse_scheme("W8A8").default
    assert scheme.weight is not None and scheme.activation is not None
    W = layer.effective_weight().flatten(1)
    grid = weight_grid(W, scheme.weight, minmax)
    layer.set_codes(quantize_weight(W, grid, scheme.weight), grid, scheme.weight)
    layer.quantize_activation(scheme.activation)
    assert float((layer(x) - conv(x)).abs().max()) < 0.05
    with pytest.raises(RuntimeError, match="already coded"):
        layer.affine(torch.ones(8))


def test_static_range_with_a_row_for_each_sample() -> None:
    layer, conv, x = make("pointwise")
    scheme = TensorScheme(Int(8, signed=False), Granularity("step"), symmetric=False)
    quantizer = layer.quantize_activation(scheme)
    quantizer.set_table(torch.tensor([[0.05], [1.0]]), torch.full((2, 1), 128.0), torch.arange(2))
    layer.clock.set(torch.tensor([[0], [1]]))
    error = (layer(x) - conv(x)).abs().amax(dim=(1, 2, 3))
    assert error[0] < 0.1 < error[1]


def test_affine_is_refused_while_a_delta_stands_in_the_basis() -> None:
    layer, conv, x = make("padded")
    delta = torch.randn(12, 8, 3, 3)
    layer.delta = nn.Parameter(delta, requires_grad=False)
    with pytest.raises(RuntimeError, match="remove it before"):
        layer.affine(torch.ones(8))
    conv.weight.data += delta
    torch.testing.assert_close(layer(x), conv(x))
