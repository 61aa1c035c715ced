"""What a site multiplies: its prologued input u, as seen while the network runs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bitscape.nn import QuantConv2d, QuantLinear


@runtime_checkable
class Statistic(Protocol):
    """What is kept of a site's inputs."""

    def update(
        self, u: Float[Tensor, "batch *token channel"], step: Int[Tensor, "batch1 token1"]
    ) -> None:
        """Take in the inputs of one call, made at the clock's index `step`, which broadcasts."""
        ...


def site_input(
    layer: QuantLinear | QuantConv2d, x: Tensor
) -> Float[Tensor, "batch *token channel"]:
    """The rows that meet the rows of the site's weight matrix when its input is `x`.

    For a convolution that is one row of in * kh * kw numbers for each window.
    """
    if isinstance(layer, QuantLinear):
        return layer.prologue(x)
    u = layer.prologue(functional.pad(x, layer.padding, layer.padding_mode))
    kernel = layer.weight_shape[2:]
    windows = functional.unfold(u, kernel, dilation=layer.dilation, stride=layer.stride)
    return windows.transpose(1, 2)


@contextmanager
def watching(network: nn.Module, statistics: Mapping[str, Statistic]) -> Iterator[None]:
    """Feed the inputs of the named sites to their statistics while the context lasts."""
    hooks = []
    try:
        for name, statistic in statistics.items():
            layer = network.get_submodule(name)
            hooks.append(layer.register_forward_pre_hook(_feeding(statistic)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _feeding(statistic: Statistic) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def feed(layer: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(layer, QuantLinear | QuantConv2d)
        statistic.update(site_input(layer, args[0]).detach(), layer.clock.read())

    return feed
