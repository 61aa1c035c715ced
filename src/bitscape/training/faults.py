"""Where a run broke: the layer that first computed something that is no number."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bitscape.training.shards import whole


@torch.no_grad()
def broken_layer(module: nn.Module, forward: Callable[[], object]) -> str:
    """The name of the first layer whose output is not finite while `forward` runs.

    Modules answer after those inside them, so the first is the innermost. "the loss" when all
    outputs are finite.
    """
    with _listening(module) as broken:
        forward()
    return broken[0] if broken else "the loss"


def broken_gradient(module: nn.Module) -> str:
    """The name of the first parameter with a gradient that is not finite."""
    names = [
        name
        for name, p in module.named_parameters()
        if p.grad is not None and not bool(whole(p.grad).isfinite().all())
    ]
    return names[0] if names else "the sum of squares"


def steepest(module: nn.Module) -> str:
    """The name of the parameter whose gradient is largest in units of its own norm."""
    sizes = {
        name: float(whole(p.grad.norm())) / max(float(whole(p.detach().norm())), 1e-30)
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    return max(sizes, key=lambda name: sizes[name])


@contextmanager
def _listening(module: nn.Module) -> Iterator[list[str]]:
    """Yield a list that collects the names of layers whose outputs are not finite."""
    broken: list[str] = []

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(layer: nn.Module, inputs: object, output: object) -> None:
            del layer, inputs
            tensors = output if isinstance(output, tuple | list) else (output,)
            if not all(bool(t.isfinite().all()) for t in tensors if isinstance(t, Tensor)):
                broken.append(name)

        return note

    handles = [
        each.register_forward_hook(hook(name)) for name, each in module.named_modules() if name
    ]
    try:
        yield broken
    finally:
        for handle in handles:
            handle.remove()
