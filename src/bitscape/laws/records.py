"""Run records: one JSON line for each (model, scheme, method, seed) that was measured.

Records are the only input of the laws. A file of them grows by whole lines, each flushed to the
disk before the next run starts; what a kill can leave behind is one torn last line, which reading
ignores and the next append removes.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SCHEMA_VERSION: Literal[1] = 1

RECORDS = "runs.jsonl"
"""The file of records in a sweep's folder."""


class Bits(BaseModel):
    """What a model costs.

    The weight fields are means over the weights of the quantized sites: nominal without, actual
    with scales, zero points and padding. The model fields sum over all parameters, those left at
    16 bits included. `compute` is the sum over sites of weights x b_weight x b_activation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nominal_weight: float = Field(gt=0)
    actual_weight: float = Field(gt=0)
    nominal_model: float = Field(gt=0)
    actual_model: float = Field(gt=0)
    compute: float = Field(gt=0)


class Quality(BaseModel):
    """What was measured, by which protocol and on how many samples; `metrics` is the whole result.

    Numbers may be compared only at equal `protocol` and `n`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str
    n: int = Field(gt=0)
    seeds: tuple[int, ...]
    metrics: dict[str, Any]


class RunRecord(BaseModel):
    """One run: what was run, what it cost, what it reached, and where that came from.

    `key` identifies the cell of a sweep. A failed run has a `reason` and neither bits nor quality.
    `peak_memory_bytes` is the resident memory of the process, `peak_device_bytes` that of an
    accelerator, null without one. `commit` is null outside a checkout and ends in "-dirty" when
    the checkout had changes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    key: str
    model: str
    family: str | None = None
    parameters: int | None = None
    recipe: str
    method: str | None = None
    scheme: str | None = None
    seed: int
    evaluation: dict[str, Any]
    status: Literal["done", "failed"]
    reason: str | None = None
    bits: Bits | None = None
    quality: Quality | None = None
    seconds: float = Field(ge=0)
    quantize_seconds: float | None = Field(default=None, ge=0)
    peak_memory_bytes: int | None = None
    peak_device_bytes: int | None = None
    version: str
    commit: str | None
    machine: str
    created: str

    @model_validator(mode="after")
    def _complete(self) -> "RunRecord":
        results = (self.bits, self.quality, self.method, self.scheme)
        if self.status == "done" and (None in results or self.reason is not None):
            raise ValueError("a finished run has bits, quality, method and scheme, and no reason")
        if self.status == "failed" and self.reason is None:
            raise ValueError("a failed run has a reason")
        return self


def append(path: Path, record: RunRecord) -> None:
    """Add one line to `path` and flush it to the disk; a torn last line is repaired first.

    One process writes a file at a time; a sweep holds a lock for that.
    """
    line = to_line(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    if not new:
        repair(path)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with open(handle, "wb", buffering=0) as file:  # noqa: PTH123 - opens a descriptor, not a path
        file.write(line)
        os.fsync(handle)
    if new:
        _sync_folder(path.parent)


def to_line(record: RunRecord) -> bytes:
    """`record` as its line of a file; ValueError for a number that is not finite."""
    # Not `model_dump_json`: it would write NaN as null, and a broken number would look absent.
    return (json.dumps(record.model_dump(), allow_nan=False, ensure_ascii=False) + "\n").encode()


def load(path: Path) -> list[RunRecord]:
    """The records of `path` in order, each validated; an absent file holds none.

    ValueError naming the line for a record that is damaged or of an unknown schema version. Only a
    last line without its newline may be incomplete: it is the mark of a kill, and is left out.
    """
    if not path.exists():
        return []
    *whole, tail = path.read_bytes().split(b"\n")
    if _is_json(tail):
        whole.append(tail)
    return [_parse(line, f"{path}, line {i}") for i, line in enumerate(whole, 1) if line.strip()]


def repair(path: Path) -> None:
    """Remove a torn last line of `path`, or give a complete one the newline it lacks."""
    with path.open("r+b") as file:
        content = file.read()
        tail = content.rsplit(b"\n", 1)[-1]
        if not tail:
            return
        if _is_json(tail):
            file.write(b"\n")
        else:
            file.truncate(len(content) - len(tail))
        file.flush()
        os.fsync(file.fileno())


def latest(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The last record of each key: a run repeated after a failure replaces it."""
    return {record.key: record for record in records}


def _parse(line: bytes, place: str) -> RunRecord:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place}: not JSON ({error}): remove the line") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{place}: run record of schema version {version!r}, this bitscape reads version "
            f"{SCHEMA_VERSION}: use the bitscape that wrote it, or a newer one"
        )
    try:
        return RunRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "record"
        raise ValueError(f"{place}: {field}: {first['msg']}") from error


def _is_json(line: bytes) -> bool:
    """Whether a line is whole: no proper beginning of a JSON object is JSON itself."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make a new file's directory entry as durable as its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
