"""What a study of laws says, as it stands in law.json."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bitscape.laws.law import Form
from bitscape.laws.settings import Accounting, Axis

SCHEMA_VERSION: Literal[1] = 1

Ends = tuple[float | None, float | None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointEntry(_Frozen):
    """One model of a setting; bits in 1e9."""

    model: str
    parameters: int
    model_bits: float
    compute_bits: float
    quality: float
    repeats: int


class SettingEntry(_Frozen):
    """What was measured for one method at one precision; laws refer to it by `setting`.

    `competes` tells whether it may stand on the frontier of its source and series.
    """

    setting: int
    source: str
    table: str
    series: str
    family: str
    method: str
    scheme: str
    w_bits: int | float
    a_bits: int | float
    metric: str
    protocol: str
    notes: tuple[str, ...]
    competes: bool
    points: tuple[PointEntry, ...]


class LawEntry(_Frozen):
    """One form of one setting. Bits are in 1e9; an open end of an interval is null.

    `bits_at` is null where the law never reaches the target or only off the chart, and `reason`
    says which. `bits_ratio` compares it with full precision in the same form. `covariance` is of
    (log_a, alpha, floor); `left_out_error` is the error that decides which form is chosen.
    """

    setting: int
    source: str
    series: str
    family: str
    method: str
    w_bits: int | float
    a_bits: int | float
    form: Form
    chosen: bool
    alpha: float | None
    alpha_ci: Ends | None
    r2: float | None
    dof: int
    bits_at: float | None
    bits_at_ci: Ends | None
    extrapolated: bool | None
    times_beyond: float | None
    bits_ratio: float | None
    bits_ratio_ci: Ends | None
    reason: str | None
    left_out_error: float | None
    log_a: float | None
    floor: float | None
    sigma: float | None
    covariance: tuple[tuple[float, float, float], ...] | None


class FrontierEntry(_Frozen):
    """The best setting at one budget. `model` is a measured one or a size between such."""

    budget: float
    source: str
    series: str
    setting: int
    model: str
    parameters: float
    method: str
    w_bits: int | float
    a_bits: int | float
    quality: float
    quality_ci: tuple[float, float]
    membership: float
    extrapolated: bool
    times_beyond: float


class RelativeEntry(_Frozen):
    """Bits over those that the family's own full precision takes for the same quality.

    `ratio` is the geometric mean over `sizes`, and its interval Student's over them: the error of
    the full-precision law is not in it. `lost` sizes are beyond that law.
    """

    setting: int
    source: str
    series: str
    method: str
    scheme: str
    sizes: int
    lost: int
    ratio: float | None
    ratio_ci: tuple[float, float] | None


class ParallelismEntry(_Frozen):
    """The test of one exponent for all precisions of a method."""

    source: str
    series: str
    method: str
    a_bits: int | float
    settings: tuple[str, ...]
    alpha: float
    alpha_ci: tuple[float, float]
    f: float
    dof: tuple[int, int]
    p: float


class Study(_Frozen):
    """The whole of law.json."""

    schema_version: Literal[1] = SCHEMA_VERSION
    axis: Axis
    accounting: Accounting
    metric: str
    at: float
    confidence: float
    settings: tuple[SettingEntry, ...]
    laws: tuple[LawEntry, ...]
    frontier: tuple[FrontierEntry, ...]
    unguarded: tuple[FrontierEntry, ...]
    parallelism: tuple[ParallelismEntry, ...]
    relative: tuple[RelativeEntry, ...] = ()
    findings: tuple[str, ...]
    caveats: tuple[str, ...]


def read_study(path: Path) -> Study:
    """The study in `path`; ValueError for a file that is not one."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: `bitscape law ... --out DIR` writes it")
    try:
        return Study.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(
            f"{path}: {field}: {first['msg']}; make it again with bitscape law"
        ) from error
