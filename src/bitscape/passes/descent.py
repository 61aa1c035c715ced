"""Gradient descent on what is learnt of one block, while it stands in for the real layers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bitscape.calibration import Unit
from bitscape.formats import TensorScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context
from bitscape.passes.learned import Affine, LearnedLayer, Settled
from bitscape.passes.learner import Learned

Tensors = tuple[Tensor, ...]


@contextmanager
def standing_in(
    network: nn.Module,
    learned: Mapping[str, Learned],
    affines: Mapping[str, Affine],
) -> Iterator[None]:
    """Put learned layers in the places of real ones while the context lasts."""
    real = {name: network.get_submodule(name) for name in learned}
    try:
        for name, layer in real.items():
            assert isinstance(layer, QuantLinear | QuantConv2d)
            twin = LearnedLayer(layer, learned[name], affines.get(name))
            network.set_submodule(name, twin)
        yield
    finally:
        for name, layer in real.items():
            network.set_submodule(name, layer)


@torch.no_grad()
def block_error(
    unit: Unit,
    targets: Tensors,
    learned: Mapping[str, Learned],
    affines: Mapping[str, Affine],
    schemes: Mapping[str, TensorScheme],
) -> float:
    """The mean squared error of a block's outputs with its weights really rounded."""
    settled = {name: Settled(found, schemes[name]) for name, found in learned.items()}
    with standing_in(unit.network, settled, affines):
        pairs = zip(unit.run(), targets, strict=True)
        return sum(float(_distance(y, t)) for y, t in pairs) / len(targets)


def descend(
    unit: Unit,
    optimizers: Sequence[torch.optim.Optimizer],
    learned: Mapping[str, Learned],
    aims: Sequence[Tensors],
    steps: int,
    unity: float,
    context: Context,
) -> None:
    """Take `steps` down the block's error against each of `aims`, and the penalties.

    The error is divided by `unity`: those of blocks differ by orders of magnitude.
    """
    parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, steps) for o in optimizers]
    generator = torch.Generator().manual_seed(context.seed)
    for done, index in enumerate(_shuffled(len(unit.inputs), steps, generator)):
        output = unit.output(index)
        loss = torch.stack([_distance(output, aim[index]) for aim in aims]).sum()
        penalty = torch.stack([found.penalty(done / steps) for found in learned.values()]).mean()
        gradients = torch.autograd.grad(loss / max(unity, 1e-30) + penalty, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        context.progress(f"training {unit.block.name}", done + 1, steps)


def parameters_of(parts: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The parameters of all `parts`."""
    return [p for part in parts for p in part.parameters()]


def _distance(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean()


def _shuffled(count: int, steps: int, generator: torch.Generator) -> Iterator[int]:
    """`steps` numbers below `count`, each as often as any other, in random order."""
    for start in range(0, steps, count):
        yield from torch.randperm(count, generator=generator)[: steps - start].tolist()
