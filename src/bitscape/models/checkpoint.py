"""Released checkpoints: which tensors of a foreign file make each tensor of ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


def _alone(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Source:
    """Where one of our tensors comes from: keys of a released file, and how to join what they hold.

    `join` receives the tensors of `keys` in order and returns ours. It is called a tensor at a
    time, so that a checkpoint larger than memory can be read in pieces.
    """

    keys: tuple[str, ...]
    join: Callable[..., Tensor] = _alone


KeyMap = Mapping[str, Source]
"""Our name of a tensor to its source. Tensors without one keep the value they were built with."""


@dataclass(frozen=True)
class Layout:
    """One way in which weights of a family are published.

    `keys(module)` is the key map for a module of the family, which may be on the meta device.
    `nested` names the entries to descend into when the file holds a dictionary of dictionaries,
    in the order of preference ("ema" before "model"); a file that is flat is read as it is.
    `ignored` are keys that hold nothing of ours, such as buffers that we compute.
    """

    name: str
    keys: Callable[[nn.Module], KeyMap]
    nested: tuple[str, ...] = ()
    ignored: Callable[[str], bool] = lambda key: False

    def missing(self, module: nn.Module, found: Iterable[str]) -> list[str]:
        """The keys that the layout wants and the file lacks, in our order."""
        held = set(found)
        wanted = [key for source in self.keys(module).values() for key in source.keys]
        return [key for key in dict.fromkeys(wanted) if key not in held]

    def unused(self, module: nn.Module, found: Iterable[str]) -> list[str]:
        """The keys of the file that the layout neither reads nor ignores, in the file's order."""
        wanted = {key for source in self.keys(module).values() for key in source.keys}
        return [key for key in found if key not in wanted and not self.ignored(key)]


def gather(
    keys: KeyMap, read: Callable[[str], Tensor], names: Iterable[str] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Our tensors, one after the other: each is made by its source from what `read` returns.

    `names` restricts them and decides their order; only one is held at a time.
    """
    for name in keys if names is None else names:
        source = keys[name]
        yield name, source.join(*map(read, source.keys))


def same_names(module: nn.Module) -> KeyMap:
    """The key map of a file that already uses our names."""
    return {name: Source((name,)) for name in module.state_dict()}
