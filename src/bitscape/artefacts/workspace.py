"""The workspace of an unfinished job: kept beside `--out`, so that a kill costs little."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bitscape.artefacts.folder import partial_path
from bitscape.artefacts.lock import locked
from bitscape.files import write_whole

FINGERPRINT = "fingerprint"
LOCK = "lock"
WORK = "work"


@contextmanager
def workspace(out: Path, fingerprint: str) -> Iterator[Path]:
    """Yield the folder that holds the progress of this very job; it is removed on success.

    `fingerprint` identifies the job, all that decides its result. After a failure the folder stays
    for the next attempt, unless nothing was finished in it. ValueError when it holds progress of
    another job, when another process works in it, or when it is not a workspace.
    """
    partial = partial_path(out)
    _require_ours(partial)
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial):
        if _read(partial / FINGERPRINT) != fingerprint:
            _require_unused(partial)
            _clear(partial, keep=LOCK)
            write_whole(partial / FINGERPRINT, fingerprint.encode())
        work = partial / WORK
        work.mkdir(exist_ok=True)
        try:
            yield work
        except Exception:
            if not _holds_files(work):
                _remove(partial)
            raise
        _remove(partial)


def finish_interrupted(out: Path, fingerprint: str) -> bool:
    """Whether `out` was finished by this very job, killed before it could remove its workspace.

    If so the workspace is removed now.
    """
    partial = partial_path(out)
    if not out.exists() or _read(partial / FINGERPRINT) != fingerprint:
        return False
    with _locked(partial):
        _remove(partial)
    return True


def _locked(partial: Path) -> AbstractContextManager[None]:
    busy = f"another process is writing {partial}: wait for it, or choose another --out"
    return locked(partial / LOCK, busy)


def _require_ours(partial: Path) -> None:
    if not partial.exists():
        return
    strangers = sorted(path.name for path in partial.iterdir() if not _is_ours(path.name))
    if strangers:
        raise ValueError(
            f"{partial} holds {strangers[0]}, which is not ours: move it away, "
            "or choose another --out"
        )


def _is_ours(name: str) -> bool:
    # A kill may leave the hidden file in which a fingerprint is written before it takes its place.
    hidden = name.startswith(f".{FINGERPRINT}.") and name.endswith(".part")
    return hidden or name in {FINGERPRINT, LOCK, WORK, "artefact"}


def _require_unused(partial: Path) -> None:
    if _holds_files(partial / WORK):
        raise ValueError(
            f"{partial} holds unfinished work of another job: finish it with the command that "
            "began it, choose another --out, or delete that folder"
        )


def _holds_files(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


def _remove(partial: Path) -> None:
    # The fingerprint goes last: until then an interrupted removal is recognised as ours.
    _clear(partial, keep=FINGERPRINT)
    shutil.rmtree(partial)


def _clear(partial: Path, keep: str) -> None:
    for path in partial.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != keep:
            path.unlink()


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
