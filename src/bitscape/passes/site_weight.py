"""The weight of a site: its layer, its float matrix, and the codes that take its place."""

from jaxtyping import Float
from torch import Tensor, nn

from bitscape.formats import TensorScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context
from bitscape.passes.rounders import Rounded

Matrix = Float[Tensor, "out column"]


def layer_of(network: nn.Module, name: str) -> QuantLinear | QuantConv2d:
    """The layer of a site that has a weight, in the normal form."""
    layer = network.get_submodule(name)
    assert isinstance(layer, QuantLinear | QuantConv2d)
    return layer


def matrix_of(layer: QuantLinear | QuantConv2d) -> Matrix:
    """The float weight of `layer` as a matrix, a row for each output channel."""
    assert layer.weight is not None
    return layer.weight.detach().flatten(1).float()


def set_codes(
    layer: QuantLinear | QuantConv2d,
    W: Matrix,
    rounded: Rounded,
    scheme: TensorScheme,
    context: Context,
) -> None:
    """Give `layer`, whose weight is W, its codes, and the report the entry of its site.

    "weight_error" is |W - W^|^2 / |W|^2.
    """
    context.keep(layer.site.name, W)
    layer.set_codes(rounded.codes, rounded.grid, scheme)
    if rounded.bias is not None:
        layer.bias = nn.Parameter(rounded.bias, requires_grad=False)
    W_hat = layer.effective_weight().flatten(1)
    error = float((W - W_hat).square().sum() / W.square().sum().clamp(min=1e-38))
    entry = {"scheme": str(scheme), "weight_error": error, **rounded.report}
    context.site_report(layer.site.name).update(entry)
