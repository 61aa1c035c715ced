"""What a pass is: one idea that edits the fields of the normal form, and the order of passes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from torch import Tensor

from bitscape.calibration import CalibrationSet
from bitscape.evaluation import Draw
from bitscape.formats import QuantScheme, SiteScheme
from bitscape.nn import QuantAttend, Quantized, insert, quantized_sites
from bitscape.structure import Kind, Pipeline, Site

Field = Literal["scale", "shift", "rotation", "lowrank", "delta", "codes", "activation"]
Progress = Callable[[str, int, int], None]


def silent(text: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class Pace:
    """What of a training run concerns the machine alone: its time, how often it saves its state,
    whether each of several processes holds a part of the parameters or all, and in which folder
    runs of one tokenizer keep the images they read, encoded, for each other.
    """

    seconds: float | None = None
    save_seconds: float = 120.0
    shard: bool = False
    encoded: Path | None = None


@dataclass
class Context:
    """What passes are given besides the pipeline.

    A pass that selects samples replaces `calibration` for all passes after it.

    `report` is where they write what they did, as JSON values. With a `workspace` folder, work that
    was finished there before is taken up again; it has to belong to this very job.
    `progress(text, done, total)` is called as the work advances.

    Passes that train read real `images`, or the calibration calls when there are none, and begin
    with what other passes made: with `begun` instead, a quantized twin of the same scheme. Where
    `unrounded` is a dictionary, each weight that is given codes is kept there as it was before.

    `nested` is what a training at several widths leaves for a pass that reads one of them: for
    each width the number by which the scale of each site grows.
    """

    scheme: QuantScheme
    calibration: CalibrationSet | None = None
    seed: int = 0
    progress: Progress = silent
    report: dict[str, Any] = field(default_factory=dict)
    workspace: Path | None = None
    images: Draw | None = None
    pace: Pace = Pace()
    begun: Pipeline | None = None
    unrounded: dict[str, Tensor] | None = None
    nested: dict[int, dict[str, float]] = field(default_factory=dict)

    def calibrated(self, what: str) -> CalibrationSet:
        """The calibration set; ValueError when `what` needs one and there is none."""
        if self.calibration is None:
            raise ValueError(f"{what} needs calibration data: record some and pass it")
        return self.calibration

    def keep(self, name: str, W: Tensor) -> None:
        """Remember the weight of the site `name`, in the basis of its codes, if anyone asked."""
        if self.unrounded is not None:
            self.unrounded[name] = W

    def site_report(self, name: str) -> dict[str, Any]:
        """The entry of the site `name` in the report."""
        entry: dict[str, Any] = self.report.setdefault("sites", {}).setdefault(name, {})
        return entry


@runtime_checkable
class Pass(Protocol):
    """One step from model to model, in place. Implementations are frozen dataclasses.

    `before` names the fields that must still be untouched, `writes` those it sets.
    """

    before: ClassVar[frozenset[Field]]
    writes: ClassVar[frozenset[Field]]

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether it reads recorded calls under `scheme`."""
        ...

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Edit the sites of the pipeline's network."""
        ...


def check_order(passes: Sequence[Pass]) -> None:
    """ValueError when a pass comes after one that set what it has to find untouched."""
    written: dict[Field, str] = {}
    for step in passes:
        name = type(step).__name__
        for late in sorted(step.before & written.keys()):
            raise ValueError(
                f"{name} must run before the {late} are set, which {written[late]} does earlier: "
                "change the order of the passes"
            )
        written |= dict.fromkeys(step.writes, name)


def run(passes: Sequence[Pass], pipeline: Pipeline, context: Context) -> None:
    """Put the sites that the scheme touches into the normal form and apply the passes in order."""
    check_order(passes)
    if any(map(_rounds, quantized_sites(pipeline.network).values())):
        raise ValueError(f"{pipeline.name} is quantized already: start from full precision")
    insert(pipeline.network, [site for site, _ in chosen(pipeline, context)], pipeline.clocks)
    for step in passes:
        step(pipeline, context)


def chosen(pipeline: Pipeline, context: Context) -> list[tuple[Site, SiteScheme]]:
    """The sites whose weight or activation the scheme asks to quantize, in execution order.

    Without the attention products, which some adapters declare and others do not: they have no
    weight, and `insert_attends` finds those of any network.
    """
    sites = [s for s in pipeline.adapter.sites(pipeline.network) if s.kind is not Kind.ATTEND]
    pairs = [(site, context.scheme.at(site.role.value, site.name)) for site in sites]
    return [(site, s) for site, s in pairs if s.weight is not None or s.activation is not None]


def with_sites(scheme: QuantScheme, schemes: Mapping[str, SiteScheme]) -> QuantScheme:
    """`scheme` with schemes of single sites; its name goes on to say what was asked for."""
    roles = dict(scheme.roles) | dict(schemes)
    return replace(scheme, roles=tuple(sorted(roles.items())))


def _rounds(layer: Quantized) -> bool:
    if isinstance(layer, QuantAttend):
        return layer.q is not None
    return layer.coded is not None or layer.activation is not None
