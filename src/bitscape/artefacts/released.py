"""Released weights under our names: which layout a file has, and filling a network from it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bitscape.artefacts.foreign import ForeignFile, Part
from bitscape.models.checkpoint import KeyMap, Layout, Source, gather, same_names

OWN = Layout("bitscape", same_names)

_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """The weights of one module in a file, to be read a tensor at a time."""

    file: ForeignFile
    layout: str
    place: str
    part: Part
    keys: KeyMap

    def fill(
        self,
        module: nn.Module,
        names: Iterable[str] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        """Give `module` its tensors, all or those in `names`; one at a time is held twice.

        Each takes the dtype it has in the module. Tensors without a source are left as they are.
        """
        wanted = self.keys if names is None else [name for name in names if name in self.keys]
        state = module.state_dict()
        for name, tensor in gather(self.keys, lambda key: self.part[key].read(), wanted):
            # A copy: the tensor may be a view into the file.
            dtype = state[name].dtype
            value = tensor.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
            _assign(module, name, value)


@dataclass(frozen=True)
class Misfit:
    """What keeps one part of a file from being read in one layout."""

    layout: str
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    misshaped: tuple[str, ...]
    wanted: int

    @property
    def distance(self) -> float:
        """0 for a layout that fits; a layout none of whose keys are there counts most."""
        lost = (len(self.missing) + len(self.misshaped)) / max(self.wanted, 1)
        return lost + len(self.unused) / max(len(self.unused) + self.wanted, 1)

    def __str__(self) -> str:
        said = [_named(self.missing, "missing"), _named(self.unused, "not used")]
        return ", ".join(filter(None, [*said, "; ".join(self.misshaped[:_SHOWN])]))


def match(module: nn.Module, layouts: Sequence[Layout], file: ForeignFile, what: str) -> Weights:
    """The weights of `module` in `file`, by the first layout that fits exactly.

    ValueError in one line, with the nearest layout and what is missing, unused or of another shape.
    """
    fits = [_fit(module, layout, place, file) for layout, place in candidates(layouts, file)]
    for weights, misfit in fits:
        if not misfit.distance:
            return weights
    if not fits:
        raise ValueError(f"{file.path} has no part for {what}: it holds {', '.join(file.parts)}")
    nearest = min((misfit for _, misfit in fits), key=lambda misfit: misfit.distance)
    raise ValueError(
        f"{file.path} is not {what} (nearest layout: {nearest.layout}): {nearest}; "
        f"`bitscape doctor {file.path}` says what it is"
    )


def candidates(layouts: Sequence[Layout], file: ForeignFile) -> Iterator[tuple[Layout, str]]:
    """Every layout with each part of the file it may stand in, preferred ones first."""
    for layout in (*layouts, OWN):
        for place in (*layout.nested, ""):
            if place in file.parts:
                yield layout, place


@contextmanager
def without_weights() -> Iterator[None]:
    """Networks built inside have their parameters on the meta device and their buffers in place.

    Nothing is allocated or initialised that a checkpoint will overwrite.
    """

    def to_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        return None if parameter is None else nn.Parameter(parameter.detach().to("meta"))

    handle = nn.modules.module.register_module_parameter_registration_hook(to_meta)
    try:
        yield
    finally:
        handle.remove()


def _fit(
    module: nn.Module, layout: Layout, place: str, file: ForeignFile
) -> tuple[Weights, Misfit]:
    keys, part = layout.keys(module), file.parts[place]
    missing = layout.missing(module, part)
    lost = set(missing)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    misshaped = [
        f"{'+'.join(source.keys)} has shape {shape} where {shapes[name]} is needed"
        for name, source in keys.items()
        if not lost.intersection(source.keys) and (shape := _shape(source, part)) != shapes[name]
    ]
    weights = Weights(file, layout.name, place, part, keys)
    unused = tuple(layout.unused(module, part))
    return weights, Misfit(layout.name, tuple(missing), unused, tuple(misshaped), len(keys))


def _shape(source: Source, part: Part) -> tuple[int, ...]:
    """The shape of what a source will make, found without reading it."""
    empty = [torch.empty(part[key].shape, device="meta") for key in source.keys]
    try:
        return tuple(source.join(*empty).shape)
    except (RuntimeError, IndexError, ValueError):
        # Tensors of another size may not even be joinable.
        return part[source.keys[0]].shape


def _assign(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    holder = module.get_submodule(owner)
    is_parameter = leaf in dict(holder.named_parameters(recurse=False))
    setattr(holder, leaf, nn.Parameter(value, requires_grad=False) if is_parameter else value)


def _named(keys: Sequence[str], how: str) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{', '.join(keys[:_SHOWN])}{more} {how}"
