"""Writing a folder so that it appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bitscape.files import move_whole


def partial_path(out: Path) -> Path:
    """Where the unfinished work for `out` is kept: beside it, so that a rename is enough."""
    return out.with_name(out.name + ".partial")


def require_absent(out: Path) -> None:
    """Raise FileExistsError when `out` exists: results are never overwritten."""
    if out.exists() or out.is_symlink():
        raise FileExistsError(f"{out} already exists: choose another --out, or remove it first")


def require_free(out: Path) -> None:
    """Raise FileExistsError when `out` exists and no workspace beside it may claim it.

    The early check of a long job; `require_absent` is the one that decides.
    """
    if not partial_path(out).exists():
        require_absent(out)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` on success and vanishes on failure.

    A kill leaves it inside `partial_path(out)`, where the next attempt replaces it.
    """
    require_absent(out)
    partial = partial_path(out)
    staging = partial / "artefact"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        require_absent(out)
        move_whole(staging, out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        remove_if_empty(partial)


def remove_if_empty(folder: Path) -> None:
    """Remove `folder` unless something still stands in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
