"""The workspace of an unfinished job: kept beside `--out`, so that a kill costs little."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bitscape.artefacts.folder import partial_path
from bitscape.artefacts.lock import locked

FINGERPRINT = "fingerprint"
LOCK = "lock"
WORK = "work"

_LOG = logging.getLogger(__name__)


@contextmanager
def workspace(out: Path, fingerprint: str) -> Iterator[Path]:
    """Yield the folder that holds the progress of this very job; it is removed on success.

    `fingerprint` identifies the job, all that decides its result: progress made under another one
    is discarded, and a line of the log says so. After a failure the folder stays for the next
    attempt. ValueError when another process works in it, or when it is not a workspace.
    """
    partial = partial_path(out)
    _require_ours(partial)
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial):
        before = _read(partial / FINGERPRINT)
        if before != fingerprint:
            if before is not None:
                _LOG.warning("%s held unfinished work of another job: starting anew", partial)
            _clear(partial, keep=LOCK)
            _write(partial / FINGERPRINT, fingerprint)
        work = partial / WORK
        work.mkdir(exist_ok=True)
        yield work
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
    ours = {FINGERPRINT, FINGERPRINT + ".new", LOCK, WORK, "artefact"}
    strangers = sorted(path.name for path in partial.iterdir() if path.name not in ours)
    if strangers:
        raise ValueError(
            f"{partial} holds {strangers[0]}, which is not ours: move it away, "
            "or choose another --out"
        )


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


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)
