"""Quantizing a network larger than memory: a block is read, quantized, written and forgotten."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.api.released import Released
from bitscape.files import write_whole
from bitscape.nn import quantized_sites
from bitscape.recipes import Recipe, apply
from bitscape.structure import Kind, Pipeline


def can_stream(recipe: Recipe) -> bool:
    """Whether the recipe treats each site by itself: without data, and without changing a basis."""
    scheme = recipe.quant_scheme()
    return all(
        not step.needs_calibration(scheme) and step.writes <= {"codes", "activation"}
        for step in recipe.build().passes()
    )


def stream(
    model: Model,
    released: Released,
    recipe: Recipe,
    *,
    seed: int,
    work: Path,
    progress: Callable[[str, int, int], None],
) -> tuple[Model, Path]:
    """Quantize from the checkpoint, and return a model whose weights are in the file beside it.

    At no time is more held than the tensors outside the blocks, or one block, in full precision
    and as codes. The folder `work`, which has to belong to this very job, takes what is finished;
    blocks that are finished there are not done again. ValueError for a weight that is not finite.
    """
    result = copy.deepcopy(model.outline)
    recipe.fit(result)
    released.prepare(result)
    units = _units(result, work)
    reports = []
    for done, unit in enumerate(units, start=1):
        if not unit.record.is_file():
            unit.write(*_quantized(model, released, recipe, seed, unit))
        reports.append(unit.describe(result))
        progress("quantizing blocks", done, len(units))
    merged = work / "model.safetensors"
    artefacts.merge_tensors([unit.shard for unit in units], merged)
    released.fill_tokenizer(result)
    report = {"model": model.name, "recipe": recipe.name, "seed": seed}
    report |= _joined(reports, _report_order(model.outline, result), result)
    return Model(result, recipe.model_dump(mode="json"), report), merged


@dataclass(frozen=True)
class _Unit:
    """A block, or what lies outside of all blocks, and what is finished of it on disk.

    `block` is its name, empty for what lies outside of all of `blocks`.
    """

    work: Path
    index: int
    block: str
    blocks: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Whether the module or tensor `name` belongs to it."""
        if self.block:
            return name.startswith(f"{self.block}.")
        return not name.startswith(tuple(f"{block}." for block in self.blocks))

    @property
    def shard(self) -> Path:
        """The tensors."""
        return self.work / f"{self.index}.safetensors"

    @property
    def record(self) -> Path:
        """What the method and the inspection said, and how the sites are coded."""
        return self.work / f"{self.index}.json"

    def write(self, part: Pipeline, told: dict[str, Any]) -> None:
        """Keep what is its own of `part` and of the report `told`."""
        artefacts.write_tensors(artefacts.network_tensors(part.network, self.holds), self.shard)
        own = {name: entry for name, entry in told.get("sites", {}).items() if self.holds(name)}
        found = artefacts.inspect_network(part.network)
        coding = artefacts.quantization_config(part, self.holds)
        content = json.dumps([{**told, "sites": own}, found, coding])
        write_whole(self.record, content.encode())

    def describe(self, result: Pipeline) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give `result` the sites, without their weights; what method and inspection said."""
        told, found, coding = json.loads(self.record.read_text())
        sites = artefacts.restore_sites(result, coding, artefacts.read_tensors(self.shard))
        for name in sites:
            result.network.set_submodule(name, result.network.get_submodule(name).to("meta"))
        return told, found


def _units(pipeline: Pipeline, work: Path) -> list[_Unit]:
    """What lies outside of all blocks, then each block in turn."""
    blocks = tuple(block.name for block in pipeline.adapter.blocks(pipeline.network))
    return [_Unit(work, index, name, blocks) for index, name in enumerate(("", *blocks))]


def _quantized(
    model: Model, released: Released, recipe: Recipe, seed: int, unit: _Unit
) -> tuple[Pipeline, dict[str, Any]]:
    """A copy in which the sites of `unit` are quantized and nothing else is read."""
    part = copy.deepcopy(model.outline)
    released.prepare(part)
    names = frozenset(filter(unit.holds, part.network.state_dict()))
    released.network.fill(part.network, names, device=released.device)
    for name in names:
        artefacts.check_finite(name, part.network.state_dict()[name], model.name)
    return part, apply(recipe, part, seed=seed, touched=unit.holds)


def _report_order(outline: Pipeline, result: Pipeline) -> list[str]:
    """The sites in the order in which a method reports them: attention behind what is declared."""
    sites = outline.adapter.sites(outline.network)
    declared = [site.name for site in sites if site.kind is not Kind.ATTEND]
    return list(dict.fromkeys([*declared, *quantized_sites(result.network)]))


def _joined(
    reports: list[tuple[dict[str, Any], dict[str, Any]]], sites: list[str], result: Pipeline
) -> dict[str, Any]:
    """The reports of the units as that of the whole: `sites` in order, layers as built."""
    told = {name: entry for each, _ in reports for name, entry in each["sites"].items()}
    method = {**reports[0][0], "sites": {name: told[name] for name in sites if name in told}}
    rows = {row["name"]: row for _, found in reports for row in found["layers"]}
    keys = [key for key in reports[0][1] if key != "layers"]
    totals = {key: sum(found[key] for _, found in reports) for key in keys}
    layers = [rows[name] for name in quantized_sites(result.network) if name in rows]
    return {"method": method, **totals, "layers": layers}
