"""Blocks: the units of sequential quantization and of reconstruction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A sub-network that is quantized as one unit.

    `name` is its dotted path; its module takes the stream as first argument and returns the stream,
    alone or as a tuple of one. `inputs` names the blocks whose outputs it reads, empty for the
    first: a chain for transformers, a directed acyclic graph once skips exist. Several outputs are
    read concatenated along axis 1, the channels of a map, in the order of their names.
    """

    name: str
    inputs: tuple[str, ...] = ()


def chain(names: list[str]) -> list[Block]:
    """Blocks that each read the one before."""
    previous: list[tuple[str, ...]] = [(), *((name,) for name in names)]
    return [Block(name, inputs) for name, inputs in zip(names, previous, strict=False)]
