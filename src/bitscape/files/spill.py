"""Tensors on disk that are used as any other: more of them than memory holds."""

import errno
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import overload

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
        """Put one tensor in. One that lies on an accelerator, or is empty, stays where it is.

        OSError when the folder for temporary files is full.
        """
        if tensor.device.type != "cpu" or not tensor.numel():
            self._places.append(tensor)
            return
        self._places.append((self._file.tell(), tensor.dtype, tensor.shape))
        flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
        with _naming_the_folder():
            self._file.write(flat.numpy().data)
            self._file.write(bytes(-flat.numel() % _ALIGNED))

    def views(self) -> tuple[Tensor, ...]:
        """All tensors, in order."""
        with _naming_the_folder():
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


class SpilledList(Sequence[Tensor]):
    """Tensors in the order in which they were appended, on disk by and by.

    The last ones, up to `room` bytes, are in memory.
    """

    def __init__(self, room: int = 1 << 20) -> None:
        self._room = room
        self._spilled: list[Tensor] = []
        self._recent: list[Tensor] = []
        self._recent_bytes = 0

    def append(self, tensor: Tensor) -> None:
        """Add one tensor, which must not be changed any more."""
        self._recent.append(tensor)
        self._recent_bytes += tensor.nbytes
        if self._recent_bytes > self._room:
            self._spilled += spilled(self._recent)
            self._recent, self._recent_bytes = [], 0

    def __len__(self) -> int:
        return len(self._spilled) + len(self._recent)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, place: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        first = len(self._spilled)
        return self._spilled[number] if number < first else self._recent[number - first]


@contextmanager
def _naming_the_folder() -> Iterator[None]:
    """Say where there is no room, and what helps."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        folder = tempfile.gettempdir()
        raise OSError(f"{folder} is full: set TMPDIR to a folder with more room") from error


def _view(mapped: Tensor, start: int, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    stop = start + shape.numel() * dtype.itemsize
    return mapped[start:stop].view(dtype).view(shape)
