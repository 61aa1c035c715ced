"""Answers: what a network makes of a lesson, with a look at chosen modules inside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from bitscape.passes.objectives import Answer
from bitscape.structure import Lesson, Pipeline, drive


def answer(pipeline: Pipeline, lesson: Lesson, inside: Sequence[str] = ()) -> Answer:
    """The output of the network of `pipeline`, and what the modules `inside` gave on the way."""
    with looking(pipeline.network, inside) as seen:
        output = drive(pipeline.network, lesson.start(), pipeline.clocks)
    return Answer(output, seen)


@contextmanager
def looking(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Tensor]]]:
    """What the modules `names` give while the context lasts, one tensor a run."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            del module, inputs
            # A block may return its stream as a tuple of one.
            first = output[0] if isinstance(output, tuple) else output
            assert isinstance(first, Tensor)
            seen[name].append(first)

        return keep

    handles = [network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
