"""The runner of real sweeps: load, quantize and evaluate with the library itself."""

import shutil
import tempfile
import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitscape import api
from bitscape.evaluation import (
    EvaluationProtocol,
    Report,
    balanced_labels,
    evaluate,
    generate,
    sample_folder,
    silent,
    teacher_forced_losses,
)
from bitscape.formats import FULL_BITS
from bitscape.laws import Bits, Quality, RunRecord
from bitscape.nn import footprint, insert, quantized_sites
from bitscape.recipes import find_recipe
from bitscape.structure import Pipeline
from bitscape.sweeps.grid import FULL_PRECISION, Cell
from bitscape.sweeps.provenance import peak_memory, reset_peaks
from bitscape.sweeps.runner import Cost, circumstances

_PROBE = 8


@dataclass
class LibraryRunner:
    """Runs cells with `bitscape.load`, `bitscape.quantize` and the given protocol.

    The last full-precision and the last quantized model are kept, because neighbouring cells of a
    grid share them. Quality is that of the normal form, the reference every kernel must equal.
    """

    protocol: EvaluationProtocol
    workspace: Path
    report: Report = silent
    _full: dict[str, api.Model] = field(default_factory=dict, repr=False)
    _small: dict[str, tuple[api.Model, float]] = field(default_factory=dict, repr=False)

    def run(self, cell: Cell) -> RunRecord:
        """The record of `cell`; its samples are removed, those of full precision stay."""
        start = time.perf_counter()
        full = self.full(cell)
        if cell.recipe == FULL_PRECISION:
            method, scheme, seconds = "none", f"W{FULL_BITS}A{FULL_BITS}", 0.0
            pipeline, partner = full, None
        else:
            recipe = find_recipe(cell.recipe)
            method, scheme = recipe.method, recipe.scheme
            model, seconds = self.quantized(cell)
            pipeline, partner = _sampled_as(cell, model.pipeline), full
        metrics = self.measured(cell, pipeline, partner)
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
        """The cost of `cell` from eight samples and eight losses; quantization is not included."""
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
        models = 1 if cell.recipe == FULL_PRECISION else 2
        seconds = images * (sampled - start) + settings.losses * (lost - sampled)
        return Cost(
            seconds=models * seconds / _PROBE,
            disk_bytes=models * images * size // _PROBE,
            memory_bytes=peak_memory(),
        )

    def full(self, cell: Cell) -> Pipeline:
        """The full-precision pipeline of `cell`, with the cell's sampler options."""
        if cell.model not in self._full:
            self._full.clear()
            self._full[cell.model] = api.load(cell.model)
        return _sampled_as(cell, self._full[cell.model].pipeline)

    def quantized(self, cell: Cell) -> tuple[api.Model, float]:
        """The quantized model of `cell` and the seconds it took to make."""
        key = replace(cell, evaluation=type(cell.evaluation)()).key
        if key not in self._small:
            self._small.clear()
            self.full(cell)
            start = time.perf_counter()
            model = api.quantize(self._full[cell.model], cell.recipe, seed=cell.seed)
            self._small[key] = model, time.perf_counter() - start
        return self._small[key]

    def measured(
        self, cell: Cell, pipeline: Pipeline, full_precision: Pipeline | None
    ) -> dict[str, Any]:
        """The evaluation result of one cell."""
        settings = cell.evaluation.settings()
        result = evaluate(
            pipeline,
            full_precision,
            protocol=self.protocol,
            settings=settings,
            workspace=self.workspace,
            report=self.report,
        )
        if full_precision is not None:
            ours = sample_folder(pipeline, settings, self.workspace)
            if ours != sample_folder(full_precision, settings, self.workspace):
                shutil.rmtree(ours)
        return result


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
