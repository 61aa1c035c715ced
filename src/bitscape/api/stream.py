"""Quantizing a network larger than memory: a block is read, quantized, written and forgotten."""

import copy
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitscape import artefacts
from bitscape.api.model import Model
from bitscape.api.released import Released
from bitscape.evaluation.storage import write_whole
from bitscape.nn import quantized_sites
from bitscape.recipes import Recipe, apply
from bitscape.structure import Pipeline


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
    units = {_Finished(work, i): names for i, names in enumerate(_units(result).values())}
    reports = []
    for done, (unit, names) in enumerate(units.items()):
        if not unit.record.is_file():
            unit.write(*_quantized(model, released, recipe, seed, names), names)
        reports.append(unit.describe(result))
        progress("quantizing blocks", done + 1, len(units))
    merged = work / "model.safetensors"
    artefacts.merge_tensors([unit.shard for unit in units], merged)
    released.fill_tokenizer(result)
    order = [site.name for site in model.outline.adapter.sites(model.outline.network)]
    report = {"model": model.name, "recipe": recipe.name, "seed": seed}
    report |= _joined(reports, order, list(quantized_sites(result.network)))
    return Model(result, recipe.model_dump(mode="json"), report), merged


@dataclass(frozen=True)
class _Finished:
    """One unit on disk: what is stored of it, and a record, written last, that describes it."""

    work: Path
    index: int

    @property
    def shard(self) -> Path:
        """The tensors."""
        return self.work / f"{self.index}.safetensors"

    @property
    def record(self) -> Path:
        """What the method and the inspection said, and how the sites are coded."""
        return self.work / f"{self.index}.json"

    def write(self, part: Pipeline, told: dict[str, Any], names: Collection[str]) -> None:
        """Keep the sites of `part`, and of its other tensors those among `names`."""
        artefacts.write_tensors(artefacts.network_tensors(part.network, names), self.shard)
        found = artefacts.inspect_network(part.network)
        coding = artefacts.quantization_config(part)
        write_whole(self.record, json.dumps([told, found, coding]).encode())

    def describe(self, result: Pipeline) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give `result` the sites, without their weights; what method and inspection said."""
        told, found, coding = json.loads(self.record.read_text())
        sites = artefacts.restore_sites(result, coding, artefacts.read_tensors(self.shard))
        for name in sites:
            result.network.set_submodule(name, result.network.get_submodule(name).to("meta"))
        return told, found


def _units(pipeline: Pipeline) -> dict[str, frozenset[str]]:
    """The names of the state of each block, those outside of all blocks first."""
    blocks = [block.name for block in pipeline.adapter.blocks(pipeline.network)]
    names = list(pipeline.network.state_dict())
    inside = {block: frozenset(n for n in names if n.startswith(f"{block}.")) for block in blocks}
    rest = frozenset(names).difference(*inside.values())
    return {"": rest, **inside}


def _quantized(
    model: Model, released: Released, recipe: Recipe, seed: int, names: Collection[str]
) -> tuple[Pipeline, dict[str, Any]]:
    """A copy in which the sites among `names` are quantized and nothing else is read."""
    part = copy.deepcopy(model.outline)
    released.prepare(part)
    released.network.fill(part.network, names, device=released.device)
    for name in names:
        artefacts.check_finite(name, part.network.state_dict()[name], model.name)
    sites = part.adapter.sites(part.network)
    declared = [site for site in sites if f"{site.name}.weight" in names]
    part.adapter = copy.copy(part.adapter)
    # The copy declares the sites of this unit alone; recipes ask it and not the network.
    vars(part.adapter)["sites"] = lambda network: declared
    return part, apply(recipe, part, seed=seed)


def _joined(
    reports: list[tuple[dict[str, Any], dict[str, Any]]], sites: list[str], modules: list[str]
) -> dict[str, Any]:
    """The reports of the units as that of the whole: sites as declared, layers as built."""
    told = {name: entry for each, _ in reports for name, entry in each.get("sites", {}).items()}
    method = {**reports[0][0], "sites": {name: told[name] for name in sites if name in told}}
    rows = {row["name"]: row for _, found in reports for row in found["layers"]}
    keys = [key for key in reports[0][1] if key != "layers"]
    totals = {key: sum(found[key] for _, found in reports) for key in keys}
    return {"method": method, **totals, "layers": [rows[name] for name in modules if name in rows]}
