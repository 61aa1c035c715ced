"""Streaming: the network block by block, each block reading what the ones before now compute.

An output is held until its last reader, the next block in a chain and the far end of a skip in a
graph, for the calibrated network and, where asked for, for the full-precision teacher beside it.
All of them are held on disk: those of many calls are more than the weights of most networks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.calibration.inputs import Statistic, watching
from bitscape.calibration.observe import beside
from bitscape.calibration.paired import PairedInputs
from bitscape.files import Spill, spilled
from bitscape.structure import Block, Call, StepClock, invoke, net_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Streamed = tuple[Tensor, ...]
"""One tensor a call."""


@dataclass(frozen=True)
class Feed:
    """The arguments of one block besides the stream, for each call.

    `entering` is the stream of a block that reads no other, as it was in the first pass.
    """

    clocks: Mapping[str, StepClock]
    calls: Sequence[Call]
    entering: list[Tensor] = field(default_factory=list)
    rest: list[Arguments] = field(default_factory=list)

    def output(self, network: nn.Module, block: Block, index: int, x: Tensor) -> Tensor:
        call, (args, options) = self.calls[index], self.rest[index]
        self.clocks[call.net].set(call.step.to(x.device))
        result = _alone(network.get_submodule(block.name)(x, *args, **options))
        self.clocks[call.net].unset()
        return result

    @torch.no_grad()
    def outputs(self, network: nn.Module, block: Block, inputs: Streamed) -> Streamed:
        return spilled(self.output(network, block, i, x) for i, x in enumerate(inputs))


@dataclass(frozen=True)
class Unit:
    """One block with its inputs, one tensor a call.

    `inputs` come out of the network as it stands, `full` out of the teacher (None without one).
    """

    block: Block
    inputs: Streamed
    full: Streamed | None
    network: nn.Module
    teacher: nn.Module | None
    feed: Feed

    def run(self, inputs: Streamed | None = None) -> Streamed:
        """The block's outputs, with its present weights, for other inputs than its own if given."""
        inputs = self.inputs if inputs is None else inputs
        return self.feed.outputs(self.network, self.block, inputs)

    def output(self, index: int) -> Tensor:
        """The block's output for the input of one call, with gradients."""
        return self.feed.output(self.network, self.block, index, self.inputs[index])

    def observe(self, statistics: Mapping[str, Statistic]) -> None:
        """Fill the statistics of the named sites of this block; without any, nothing is run."""
        if not statistics:
            return
        with watching(self.network, statistics):
            self.run()

    @torch.no_grad()
    def observe_both(self, statistics: Mapping[str, PairedInputs]) -> None:
        """Fill the statistics of the named sites, each call through the teacher's block first.

        Without any, nothing is run.
        """
        if not statistics:
            return
        assert self.teacher is not None and self.full is not None
        with beside(self.network, self.teacher, statistics):
            for index, (full, own) in enumerate(zip(self.full, self.inputs, strict=True)):
                self.feed.output(self.teacher, self.block, index, full)
                self.feed.output(self.network, self.block, index, own)


def stream(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
    teacher: nn.Module | None = None,
) -> Iterator[Unit]:
    """Yield each block in turn; what the caller changes in it is seen by all later blocks.

    Each block reads the outputs of those it names as its first argument, and its other arguments
    are those of the first, unquantized pass. `teacher` shares the clocks.
    """
    nets = {block.name: net_of(block.name, clocks) for block in blocks}
    for net in dict.fromkeys(nets.values()):
        mine = [block for block in blocks if nets[block.name] == net]
        _check_order(mine)
        yield from _walk(network, clocks, mine, [c for c in calls if c.net == net], teacher)


def _walk(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
    teacher: nn.Module | None,
) -> Iterator[Unit]:
    feeds = _capture(network, clocks, blocks, calls)
    networks = [network] if teacher is None else [network, teacher]
    kept = [Outputs(blocks) for _ in networks]
    for block in blocks:
        feed = feeds.pop(block.name)
        entering = tuple(feed.entering)
        inputs = [held.read(block) if block.inputs else entering for held in kept]
        full = None if teacher is None else inputs[1]
        yield Unit(block, inputs[0], full, network, teacher, feed)
        for source, x, held in zip(networks, inputs, kept, strict=True):
            if held.wants(block):
                held.keep(block, feed.outputs(source, block, x))


class Outputs:
    """What blocks returned, one tensor a call, each kept until its last reader."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        # The last block to name another comes last.
        self.readers = {name: block.name for block in blocks for name in block.inputs}
        self.kept: dict[str, Streamed] = {}

    def wants(self, block: Block) -> bool:
        """Whether any block reads `block`."""
        return block.name in self.readers

    def keep(self, block: Block, outputs: Streamed) -> None:
        """Take in what `block` returned, if it is ever read."""
        if self.wants(block):
            self.kept[block.name] = outputs

    def read(self, block: Block) -> Streamed:
        """The stream entering `block`."""
        sources = [self.kept[name] for name in block.inputs]
        for name in block.inputs:
            if self.readers[name] == block.name:
                self.kept.pop(name, None)
        if len(sources) == 1:
            return sources[0]
        return spilled(_joined(parts) for parts in zip(*sources, strict=True))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _alone(output: Tensor | tuple[Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


@dataclass(frozen=True)
class Seen:
    """One run of a block: its arguments and what it returned."""

    args: tuple[Any, ...]
    options: dict[str, Any]
    output: Tensor


@torch.no_grad()
def _capture(
    network: nn.Module,
    clocks: Mapping[str, StepClock],
    blocks: Sequence[Block],
    calls: Sequence[Call],
) -> dict[str, Feed]:
    """Every block's arguments besides the stream, and the stream where it enters."""
    seen: dict[str, list[Seen]] = {}
    hooks = [
        network.get_submodule(block.name).register_forward_hook(
            _noting(seen.setdefault(block.name, [])), with_kwargs=True
        )
        for block in blocks
    ]
    device = next(network.parameters()).device
    feeds = {block.name: Feed(clocks, calls) for block in blocks}
    with ExitStack() as files:
        for hook in hooks:
            files.callback(hook.remove)
        for clock in clocks.values():
            files.callback(clock.unset)
        entering = {b.name: files.enter_context(Spill()) for b in blocks if not b.inputs}
        for call in calls:
            for runs in seen.values():
                runs.clear()
            invoke(network, clocks, call.to(device))
            _check_stream(blocks, seen)
            for block in blocks:
                run, feed = seen[block.name][0], feeds[block.name]
                feed.rest.append((run.args[1:], run.options))
                if block.name in entering:
                    entering[block.name].add(run.args[0])
        for name, spill in entering.items():
            feeds[name].entering.extend(spill.views())
    return feeds


def _noting(runs: list[Seen]) -> Callable[..., None]:
    def note(module: nn.Module, args: tuple[Any, ...], options: dict[str, Any], out: Any) -> None:
        del module
        runs.append(Seen(args, options, _alone(out)))

    return note


def _check_stream(blocks: Sequence[Block], seen: Mapping[str, list[Seen]]) -> None:
    """ValueError unless each block ran once and read exactly what the ones it names returned."""
    for block in blocks:
        if len(seen[block.name]) != 1:
            raise ValueError(f"block {block.name} ran {len(seen[block.name])} times in one call")
        if not block.inputs:
            continue
        x = seen[block.name][0].args[0]
        sources = [seen[name][0].output for name in block.inputs]
        if x is not sources[0] and (len(sources) == 1 or not torch.equal(x, _joined(sources))):
            raise ValueError(
                f"block {block.name} does not read the output of {' and '.join(block.inputs)}: the "
                "adapter has to declare blocks that hand the stream directly to the next"
            )


def _check_order(blocks: Sequence[Block]) -> None:
    """ValueError for a block that reads one that has not run yet."""
    before: set[str] = set()
    for block in blocks:
        for name in block.inputs:
            if name not in before:
                raise ValueError(f"block {block.name} reads {name!r}, which is no earlier block")
        before.add(block.name)
