"""Streaming: the network block by block, each block reading what the ones before now compute.

Only the inputs of one block are held, for the calibrated network and, where asked for, for the
full-precision teacher beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.calibration.inputs import Statistic, watching
from bitscape.calibration.observe import placed
from bitscape.structure import Block, Call, StepClock, invoke, net_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Feed:
    """The arguments of one block besides the stream, for each call."""

    clocks: Mapping[str, StepClock]
    calls: Sequence[Call]
    rest: tuple[Arguments, ...]

    def output(self, network: nn.Module, block: Block, index: int, x: Tensor) -> Tensor:
        call, (args, options) = self.calls[index], self.rest[index]
        self.clocks[call.net].set(call.step.to(x.device))
        result: Tensor = network.get_submodule(block.name)(x, *args, **options)
        self.clocks[call.net].unset()
        return result

    @torch.no_grad()
    def outputs(
        self, network: nn.Module, block: Block, inputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        return tuple(self.output(network, block, i, x) for i, x in enumerate(inputs))


@dataclass(frozen=True)
class Unit:
    """One block with its inputs, one tensor a call.

    `inputs` come out of the network as it stands, `full` out of the teacher (None without one).
    """

    block: Block
    inputs: tuple[Tensor, ...]
    full: tuple[Tensor, ...] | None
    network: nn.Module
    feed: Feed

    def run(self, inputs: tuple[Tensor, ...] | None = None) -> tuple[Tensor, ...]:
        """The block's outputs, with its present weights, for other inputs than its own if given."""
        inputs = self.inputs if inputs is None else inputs
        return self.feed.outputs(self.network, self.block, inputs)

    def output(self, index: int) -> Tensor:
        """The block's output for the input of one call, with gradients."""
        return self.feed.output(self.network, self.block, index, self.inputs[index])

    def observe(self, statistics: Mapping[str, Statistic]) -> None:
        """Fill the statistics of the named sites of this block."""
        with watching(self.network, statistics):
            self.run()


def stream(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
    teacher: nn.Module | None = None,
) -> Iterator[Unit]:
    """Yield each block in turn; what the caller changes in it is seen by all later blocks.

    The blocks are chains: each reads the output of the one before as its first argument, and its
    other arguments are those of the first, unquantized pass. `teacher` shares the clocks.
    """
    nets = {block.name: net_of(block.name, clocks) for block in blocks}
    for net in dict.fromkeys(nets.values()):
        chained = [block for block in blocks if nets[block.name] == net]
        _check_chain(chained)
        mine = [call for call in calls if call.net == net]
        yield from _chain(network, clocks, chained, mine, teacher)


def _chain(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
    teacher: nn.Module | None,
) -> Iterator[Unit]:
    inputs, feeds = _capture(network, clocks, blocks, calls)
    full = None if teacher is None else inputs
    for block, feed in zip(blocks, feeds, strict=True):
        yield Unit(block, inputs, full, network, feed)
        if block is blocks[-1]:
            return
        inputs = feed.outputs(network, block, inputs)
        if teacher is not None and full is not None:
            full = feed.outputs(teacher, block, full)


@torch.no_grad()
def _capture(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
) -> tuple[tuple[Tensor, ...], list[Feed]]:
    """The stream entering the first block, one tensor a call, and every block's other arguments."""
    seen: list[tuple[tuple[Any, ...], dict[str, Any], Tensor]] = []

    def note(
        module: nn.Module, args: tuple[Any, ...], options: dict[str, Any], out: Tensor
    ) -> None:
        del module
        seen.append((args, options, out))

    modules = [network.get_submodule(block.name) for block in blocks]
    hooks = [module.register_forward_hook(note, with_kwargs=True) for module in modules]
    device = next(network.parameters()).device
    inputs: list[Tensor] = []
    rest: list[list[Arguments]] = [[] for _ in blocks]
    try:
        for call in calls:
            seen.clear()
            invoke(network, clocks, placed(call, device))
            _check_stream(blocks, seen)
            inputs.append(seen[0][0][0])
            for kept, (args, options, _) in zip(rest, seen, strict=True):
                kept.append((args[1:], options))
    finally:
        for hook in hooks:
            hook.remove()
        for clock in clocks.values():
            clock.unset()
    return tuple(inputs), [Feed(clocks, calls, tuple(kept)) for kept in rest]


def _check_stream(
    blocks: Sequence[Block], seen: Sequence[tuple[tuple[Any, ...], dict[str, Any], Tensor]]
) -> None:
    """ValueError unless each block ran once and read exactly what the one before returned."""
    linked = [later[0][0] is earlier[2] for earlier, later in zip(seen, seen[1:], strict=False)]
    if len(seen) != len(blocks) or not all(linked):
        raise ValueError(
            f"the blocks {blocks[0].name} to {blocks[-1].name} do not form a chain in one call: "
            "the adapter has to declare blocks that hand the stream directly to the next"
        )


def _check_chain(blocks: Sequence[Block]) -> None:
    expected: tuple[str, ...] = ()
    for block in blocks:
        if block.inputs != expected:
            raise ValueError(
                f"block {block.name} reads {block.inputs}: only chains of blocks can be streamed"
            )
        expected = (block.name,)
