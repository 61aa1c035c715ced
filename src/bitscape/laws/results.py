"""What a study of laws says, as it stands in law.json."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bitscape.laws.law import Form
from bitscape.laws.settings import Accounting, Axis, Ladder
from bitscape.laws.table import is_full_precision

SCHEMA_VERSION: Literal[1] = 1

Ends = tuple[float | None, float | None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointEntry(_Frozen):
    """One model of a setting; bits in 1e9.

    `model_bits` are in the accounting of the study, `actual_bits` those that the records counted
    with scales and leftovers; null where nobody did.
    """

    model: str
    parameters: int
    model_bits: float
    compute_bits: float
    quality: float
    repeats: int
    actual_bits: float | None = None

    def cost(self, axis: Axis) -> float:
        """Bits on `axis`."""
        return self.model_bits if axis == "model-bits" else self.compute_bits


class SettingEntry(_Frozen):
    """What was measured for one method at one precision; laws refer to it by `setting`.

    `short` is the method without the options that all methods of the study share.
    `sound` tells whether its law may be used for a budget of any kind, `competes` whether it may
    stand on the frontier of its ladder on the axis of the study.
    """

    setting: int
    source: str
    table: str
    series: str
    family: str
    method: str
    short: str
    scheme: str
    w_bits: int | float
    a_bits: int | float
    metric: str
    protocol: str
    notes: tuple[str, ...]
    sound: bool
    competes: bool
    points: tuple[PointEntry, ...]

    @property
    def ladder(self) -> Ladder:
        """What another setting must share to be compared with this one."""
        return Ladder(self.source, self.series, self.metric, self.protocol)

    @property
    def full_precision(self) -> bool:
        """Whether nothing was quantized."""
        return is_full_precision(self.w_bits, self.a_bits)


class LawEntry(_Frozen):
    """One form of one setting. Bits are in 1e9; an open end of an interval is null.

    `bits_at` is null where the law never reaches the target or only off the chart, and `reason`
    says which. `bits_ratio` compares it with full precision in the same form. `covariance` is of
    (log_a, alpha, floor); `left_out_error` is the error that decides which form is chosen. `beta`
    is the exponent of the precision in the bivariate form. `share` is g of the effective form, the
    parameters of full precision that one parameter of this setting is worth; null without a full
    precision in the fit.
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
    beta: float | None = None
    beta_ci: Ends | None = None
    share: float | None = None
    share_ci: Ends | None = None

    @property
    def full_precision(self) -> bool:
        """Whether nothing was quantized."""
        return is_full_precision(self.w_bits, self.a_bits)


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
    the full-precision law is not in it. `lost` sizes are beyond that law. Where the law is read
    outside the sizes it was fitted to, the entry is `extrapolated`, at most `times_beyond`.
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
    extrapolated: bool = False
    times_beyond: float = 1.0


class ModelChange(_Frozen):
    """The metric of one quantized model against that of the same model in full precision."""

    model: str
    change: float
    error: float | None


class ChangeEntry(_Frozen):
    """What quantizing changes of each model's own full precision, mean over its `models`.

    `kind` says how: the ratio of the two (their geometric mean), or for losses the difference.
    `error` is the standard error of `change`, from repeated runs and from the images behind each;
    null where the records hold neither for every model.
    """

    setting: int
    source: str
    series: str
    family: str
    method: str
    scheme: str
    kind: Literal["ratio", "difference"]
    change: float
    error: float | None
    models: tuple[ModelChange, ...]


class LeftOutEntry(_Frozen):
    """Numbers of one metric and series over `samples`, left out beside those over `kept`.

    `cells` counts models in a method at a scheme, whatever their seeds.
    """

    source: str
    series: str
    metric: str
    protocol: str
    samples: int
    kept: int
    cells: int


class ParallelismEntry(_Frozen):
    """The test of one exponent for all precisions of a method."""

    source: str
    series: str
    protocol: str = ""
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
    changes: tuple[ChangeEntry, ...] = ()
    left_out: tuple[LeftOutEntry, ...] = ()
    findings: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def ladders(self) -> list[Ladder]:
        """Every group of settings that may be compared, in order."""
        return list(dict.fromkeys(one.ladder for one in self.settings))


def read_study(path: Path) -> Study:
    """The study in `path`, or in the law.json of that folder; ValueError for one that is none."""
    if path.is_dir():
        path = path / "law.json"
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
