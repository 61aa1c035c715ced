"""The runner of real sweeps: load, quantize and evaluate with the library itself."""

import shutil
import tempfile
import time
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitscape import api
from bitscape.artefacts import in_turn
from bitscape.calibration import CalibrationSet
from bitscape.evaluation import (
    EvaluationProtocol,
    Report,
    balanced_labels,
    evaluate,
    generate,
    real_reference,
    sample_folder,
    silent,
    teacher_forced_losses,
)
from bitscape.formats import FULL_BITS
from bitscape.laws import Bits, Quality, RunRecord
from bitscape.nn import footprint, insert, quantized_sites
from bitscape.passes import Pace
from bitscape.recipes import Recipe, calibration_key, find_recipe, reads_calibration, recorded
from bitscape.runtime import peaks, reset_peaks
from bitscape.structure import Pipeline
from bitscape.sweeps.grid import FULL_PRECISION, Cell
from bitscape.sweeps.runner import Cost, circumstances

_PROBE = 32

_SHARED = frozenset({"name", "scheme", "description", "families", "model"})
"""The fields of a recipe that an estimate does not depend on, or hardly."""


@dataclass
class LibraryRunner:
    """Runs cells with `bitscape.load`, `bitscape.quantize` and the given protocol.

    The last full-precision and the last quantized model are kept in memory, because neighbouring
    cells of a grid share them. In `workspace` lies what cells share wherever they run, each made by
    the first that needs it while others wait: calibration sets, the reference, the samples, losses
    and numbers of full precision, and the images that training reads, encoded. Quality is that of
    the normal form, the reference every kernel must equal.
    """

    protocol: EvaluationProtocol
    workspace: Path
    _full: dict[str, api.Model] = field(default_factory=dict, repr=False)
    _small: dict[str, tuple[api.Model, float]] = field(default_factory=dict, repr=False)
    _rounding: dict[str, api.Estimate] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # Models are loaded where they are run.
        return type(self), (self.protocol, self.workspace)

    def run(self, cell: Cell, report: Report = silent) -> RunRecord:
        """The record of `cell`; its samples are removed, those of full precision stay."""
        start = time.perf_counter()
        full = self.full(cell)
        if cell.recipe == FULL_PRECISION:
            method, scheme, seconds = "none", f"W{FULL_BITS}A{FULL_BITS}", 0.0
            pipeline, partner = full, None
        else:
            recipe = find_recipe(cell.recipe)
            method, scheme = recipe.entry, recipe.scheme
            model, seconds = self.quantized(cell, recipe, report)
            if cell.evaluation.bits is not None:
                model = api.read_at(replace(model, outline=model.copy()), cell.evaluation.bits)
                scheme = model.report["method"]["scheme"]
            pipeline, partner = _sampled_as(cell, model.pipeline), full
        metrics = self.measured(cell, pipeline, partner, report)
        return RunRecord(
            **circumstances(cell),
            family=pipeline.family,
            parameters=sum(parameter.numel() for parameter in full.network.parameters()),
            method=method,
            scheme=scheme,
            status="done",
            bits=bits(pipeline),
            quality=Quality(
                protocol=self.protocol.name,
                n=cell.evaluation.n,
                seeds=cell.evaluation.seeds,
                metrics=metrics,
            ),
            seconds=time.perf_counter() - start,
            quantize_seconds=seconds,
        )

    def probe(self, cell: Cell) -> Cost:
        """The cost of evaluating `cell` from a few samples and losses.

        Its memory counts what quantization holds, too.
        """
        settings = replace(cell.evaluation.settings(), shard=_PROBE)
        pipeline = self.full(cell)
        reset_peaks()
        labels = balanced_labels(_PROBE, pipeline.adapter.num_classes)
        with tempfile.TemporaryDirectory(prefix="bitscape-") as folder:
            start = time.perf_counter()
            generate(pipeline, labels, seed=0, out=Path(folder), shard=_PROBE)
            sampled = time.perf_counter()
            teacher_forced_losses(pipeline, self.protocol.draw, _PROBE)
            lost = time.perf_counter()
            size = sum(path.stat().st_size for path in Path(folder).glob("*.safetensors"))
        images = settings.n * len(settings.seeds)
        seconds = images * (sampled - start) + settings.losses * (lost - sampled)
        return Cost(
            seconds=seconds / _PROBE,
            disk_bytes=images * size // _PROBE,
            memory_bytes=max(peaks()["peak_memory_bytes"], self.quantization(cell).memory_bytes),
        )

    def quantize_seconds(self, cell: Cell) -> float:
        """The time of recording, rounding and distillation; block-wise learning is not in it."""
        if cell.recipe == FULL_PRECISION or not reads_calibration(find_recipe(cell.recipe)):
            return 0.0
        return self.quantization(cell).seconds

    def quantization(self, cell: Cell) -> api.Estimate:
        """The estimate for quantizing the model of `cell`, one for all schemes of a recipe."""
        if cell.recipe == FULL_PRECISION:
            return api.Estimate(0.0, 0, 0)
        recipe = find_recipe(cell.recipe)
        kind = f"{cell.model} {recipe.model_dump_json(exclude=set(_SHARED))}"
        if kind not in self._rounding:
            self.full(cell)
            self._rounding[kind] = api.estimate_quantize(self._full[cell.model], recipe)
        return self._rounding[kind]

    def full(self, cell: Cell) -> Pipeline:
        """The full-precision pipeline of `cell`, with the cell's sampler options."""
        if cell.model not in self._full:
            self._full.clear()
            self._full[cell.model] = api.load(cell.model)
        return _sampled_as(cell, self._full[cell.model].pipeline)

    def quantized(
        self, cell: Cell, recipe: Recipe, report: Report = silent
    ) -> tuple[api.Model, float]:
        """The quantized model of `cell` and the seconds it took to make, calibration apart."""
        key = replace(cell, evaluation=type(cell.evaluation)()).key
        if key not in self._small:
            self._small.clear()
            self.full(cell)
            calls = self.calibration(cell, recipe, report)
            start = time.perf_counter()
            model = api.quantize(
                self._full[cell.model],
                recipe,
                calibration=calls,
                seed=cell.seed,
                progress=report,
                pace=Pace(encoded=self.workspace / "encoded"),
            )
            self._small[key] = model, time.perf_counter() - start
        return self._small[key]

    def calibration(self, cell: Cell, recipe: Recipe, report: Report) -> CalibrationSet | None:
        """What `recipe` records on the model of `cell`, from the workspace if it lies there."""
        if not reads_calibration(recipe):
            return None
        pipeline = self._full[cell.model].pipeline
        key = calibration_key(recipe, pipeline, cell.seed)
        folder = self.workspace / "calibration" / key
        with self.in_turn(key):
            if not folder.is_dir():
                recorded(recipe, pipeline, seed=cell.seed, progress=report).save(folder)
        return CalibrationSet.load(folder)

    def measured(
        self,
        cell: Cell,
        pipeline: Pipeline,
        full_precision: Pipeline | None,
        report: Report = silent,
    ) -> dict[str, Any]:
        """The evaluation result of one cell."""
        settings = cell.evaluation.settings()
        with self.in_turn("reference"):
            folder = self.workspace / "reference"
            real_reference(pipeline, self.protocol, folder, batch=settings.shard, report=report)

        def compare(ours: Pipeline, theirs: Pipeline | None) -> dict[str, Any]:
            return evaluate(
                ours,
                theirs,
                protocol=self.protocol,
                settings=settings,
                workspace=self.workspace,
                report=report,
            )

        ours = sample_folder(pipeline, settings, self.workspace)
        home = sample_folder(full_precision or pipeline, settings, self.workspace)
        # Two recipes may end in one model, and then share its samples.
        with self.in_turn(ours.name):
            if full_precision is None:
                return compare(pipeline, None)
            compare(pipeline, None)
            if ours != home:
                # By now another worker may have measured full precision.
                with self.in_turn(home.name):
                    compare(full_precision, None)
            result = compare(pipeline, full_precision)
            if ours != home:
                shutil.rmtree(ours)
            return result

    def in_turn(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of something shared, waiting for other workers."""
        folder = self.workspace / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return in_turn(folder / name)


def bits(pipeline: Pipeline) -> Bits:
    """What the network costs; sites that no scheme touched count 16 bits."""
    network = pipeline.network
    present = quantized_sites(network)
    untouched = [site for site in pipeline.adapter.sites(network) if site.name not in present]
    if untouched:
        network = deepcopy(network)
        insert(network, untouched, pipeline.clocks)
    cost = footprint(network)
    return Bits(
        nominal_weight=cost.nominal_weight_bits,
        actual_weight=cost.actual_weight_bits,
        nominal_model=cost.model_bits,
        actual_model=cost.actual_weight_bits * cost.weights + cost.other_parameters * FULL_BITS,
        compute=cost.compute_bits,
    )


def _sampled_as(cell: Cell, pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, sampler={**pipeline.sampler, **cell.evaluation.sampler})
