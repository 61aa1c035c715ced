"""Tensors on disk that are used as any other: more of them than memory holds."""

import mmap
import tempfile
from collections.abc import Iterable

import torch
from torch import Tensor

# Wide enough for every dtype, and a line of the cache.
_ALIGNED = 64


class Spill:
    """A file without a name that tensors are put into, and their views of it.

    It lies in the folder for temporary files ($TMPDIR) and goes with the last of the views, which
    outlive the context. The system reads pages when they are used, and drops them when memory is
    wanted.
    """

    def __init__(self) -> None:
        # Closed by the context.
        self._file = tempfile.TemporaryFile(prefix="bitscape-")  # noqa: SIM115
        self._places: list[Tensor | tuple[int, torch.dtype, torch.Size]] = []

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, tensor: Tensor) -> None:
        """Put one tensor in. One that lies on an accelerator, or is empty, stays where it is."""
        if tensor.device.type != "cpu" or not tensor.numel():
            self._places.append(tensor)
            return
        self._places.append((self._file.tell(), tensor.dtype, tensor.shape))
        flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
        self._file.write(flat.numpy().data)
        self._file.write(bytes(-flat.numel() % _ALIGNED))

    def views(self) -> tuple[Tensor, ...]:
        """All tensors, in order."""
        self._file.flush()
        mapped = torch.empty(0, dtype=torch.uint8)
        if self._file.tell():
            # Pages of one's own: what is written to a view stays out of the file.
            pages = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
            mapped = torch.frombuffer(pages, dtype=torch.uint8)
        return tuple(
            place if isinstance(place, Tensor) else _view(mapped, *place) for place in self._places
        )


def spilled(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The same tensors, in order, in one file; each is put there before the next is asked for."""
    with Spill() as spill:
        for tensor in tensors:
            spill.add(tensor)
        return spill.views()


def _view(mapped: Tensor, start: int, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    stop = start + shape.numel() * dtype.itemsize
    return mapped[start:stop].view(dtype).view(shape)
