"""Appearing whole or not at all: written beside the goal, flushed to the disk, then moved there.

A rename on one disk happens or does not. What is renamed has to be on the disk before, and the
folder that lists it after, or a crash of the machine could leave the new name on an empty file.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`, in the place of a file that stands there; see `whole_file`."""
    with whole_file(path) as part:
        part.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which takes its place at `path` on success.

    A file that stood there is replaced, and left as it was on failure. Folders above `path` are
    made. IsADirectoryError when a folder stands there.
    """
    require_no_folder(path)
    part = _beside(path)
    try:
        yield part
        move_whole(part, path)
    finally:
        part.unlink(missing_ok=True)


def require_no_folder(path: Path) -> None:
    """Raise IsADirectoryError when a folder stands where a file is to be written.

    The early check of a long job; writing the file makes it again.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which takes its place at `path` on success and vanishes on failure.

    FileExistsError when something stands at `path`: a folder cannot be replaced in one move.
    """
    part = _beside(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        move_whole(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_whole(part: Path, path: Path) -> None:
    """Flush the file or the folder `part` to the disk and move it to `path`, on the same disk.

    A file at `path` is replaced; FileExistsError when a folder is to take the place of something.
    """
    if part.is_dir():
        if path.exists():
            raise FileExistsError(f"{path} already exists: remove it, or choose another place")
        for inside in part.rglob("*"):
            _flush(inside)
    _flush(part)
    part.replace(path)
    _flush(path.parent)


def _beside(path: Path) -> Path:
    """A hidden name of this process's own in the folder of `path`, which is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
