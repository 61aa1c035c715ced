"""Reconstruction: what is learnt of a block is trained until its output is the float block's.

Li et al., "BRECQ: Pushing the Limit of Post-Training Quantization by Block Reconstruction",
arXiv:2102.05426; Shao et al., "OmniQuant", arXiv:2308.13137.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bitscape.calibration import Outputs, Unit, hessian_of, mixed, stream
from bitscape.formats import QuantScheme
from bitscape.passes.base import Context, Field
from bitscape.passes.block_bases import Basis, BlockBases, basis_of
from bitscape.passes.block_inputs import BlockInputs, Tables, learning_ranges
from bitscape.passes.descent import block_error, descend, parameters_of, standing_in
from bitscape.passes.finished import read_finished, read_groups, write_finished, write_groups
from bitscape.passes.learned import Affine, UpOrDown
from bitscape.passes.learner import Learned, Learner
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import (
    QuantizeWeights,
    check_weights,
    sites_inside,
    weight_sites,
)
from bitscape.passes.rounders import Greedy, Rounded
from bitscape.passes.site_weight import layer_of, matrix_of, set_codes
from bitscape.passes.stages import Stages, check_stages, in_stages
from bitscape.structure import Call, Fold, Pipeline
from bitscape.training import LazyAdam

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Reconstruct:
    """Learn the rounding of each block's weights, block after block, from calibration calls.

    A block reads what the quantized blocks before it emit, and is compared with the float block on
    the float stream, with `both` also on its own input. Dynamic activation quantizers are in place
    meanwhile, and static ones where `ranges` says how theirs are found; their tables are learnt
    with the weights, at `range_rate`, each entry by the samples of its own steps. `mix` deals the
    samples of all calls out anew, so many to a batch of mixed steps. `transform` lets the folds
    inside a block whose inputs are rounded, and whose producer takes a scale, learn a change of
    basis at that rate (0 for none). With `stages` of roles, those sites are trained one stage
    after another, `steps` each, and other sites not at all. Each step reads one call. Only one
    block's inputs and outputs are held. Sites outside of blocks are left to `rest`.
    """

    before: ClassVar[frozenset[Field]] = frozenset({"codes", "activation"})
    writes: ClassVar[frozenset[Field]] = frozenset({"scale", "shift", "codes"})

    learner: Learner
    steps: int = 200
    transform: float = 0.0
    both: bool = False
    ranges: QuantizeActivations | None = None
    range_rate: float = 0.0
    mix: int | None = None
    stages: Stages = ()
    rest: QuantizeWeights = QuantizeWeights(Greedy())

    def __post_init__(self) -> None:
        check_stages(self.stages)
        if self.steps < 1 or self.transform < 0 or self.range_rate < 0:
            raise ValueError(
                f"a reconstruction takes at least one step and no negative rate, got {self.steps} "
                f"steps and rates of {self.transform} and {self.range_rate}"
            )
        if self.transform and isinstance(self.learner, UpOrDown):
            raise ValueError("a learnt basis moves the grid that rounding up or down stands on")

    def needs_calibration(self, scheme: QuantScheme) -> bool:
        """Whether there is a weight to round."""
        return self.rest.needs_calibration(scheme)

    def __call__(self, pipeline: Pipeline, context: Context) -> None:
        """Replace the float weights by codes."""
        check_weights(pipeline, context.scheme)
        calls: Sequence[Call] = context.calibrated("reconstruction").calls
        if self.mix is not None:
            calls = mixed(calls, self.mix, torch.Generator().manual_seed(context.seed))
        blocks = pipeline.adapter.blocks(pipeline.network)
        work = _Work(self, pipeline, context)
        floats = Outputs(blocks)
        for unit in stream(pipeline.network, pipeline.clocks, blocks, calls):
            # A block that reads no other reads what the float network reads.
            full = floats.read(unit.block) if unit.block.inputs else unit.inputs
            floats.keep(unit.block, work.block(unit, full))
        self.rest(pipeline, context)


class _Work:
    """One run of the pass over a pipeline."""

    def __init__(self, step: Reconstruct, pipeline: Pipeline, context: Context) -> None:
        self.step, self.pipeline, self.context = step, pipeline, context
        self.network = pipeline.network
        self.schemes = {s.name: scheme for s, scheme in weight_sites(pipeline, context.scheme)}
        self.inputs = BlockInputs(pipeline, context, step.ranges)
        self.bases = BlockBases(pipeline, context)

    def block(self, unit: Unit, full: Tensors) -> Tensors:
        """Quantize one block and return what the float block made of the float stream."""
        targets = unit.run(full)
        own = unit.run() if self.step.both else None
        names = sites_inside(unit.block, self.schemes)
        inside = sites_inside(unit.block, self.inputs.schemes)
        self.inputs.quantize(unit, inside)
        done, bases = self.finished(unit)
        if done.keys() != set(names):
            folds = self.bases.starts(unit, names) if self.step.transform else []
            learned = self.train(unit, names, folds, targets, own)
            bases = {fold.name: basis_of(affine) for fold, affine in folds}
            self.bases.change(bases)
            done = {name: self.rounded(name, found) for name, found in learned.items()}
            self.keep(unit, done, bases)
        else:
            self.bases.change(bases)
        for name in names:
            self.set(name, done[name])
        return targets

    def train(
        self,
        unit: Unit,
        names: Sequence[str],
        folds: Sequence[tuple[Fold, Affine]],
        targets: Tensors,
        own: Tensors | None,
    ) -> dict[str, Learned]:
        """What was learnt of each site of the block, or its start if that was no worse."""
        affines = {name: affine for fold, affine in folds for name in fold.consumers}
        codes = self.seeds(unit, names)
        learned = {}
        for name in names:
            W = self._matrix(name)
            basis = W if name not in affines else W * affines[name].scale.detach()
            learned[name] = self.step.learner.start(basis, self.schemes[name], codes.get(name))
        first, start = copy.deepcopy(learned), copy.deepcopy(affines)
        before = block_error(unit, targets, first, start, self.schemes)
        aims = [targets] if own is None else [targets, own]
        tables = self.inputs.tables(names) if self.step.range_rate else {}
        with learning_ranges(self.network, tables):
            with standing_in(self.network, learned, affines):
                for trained in self.stages(names):
                    rules = self.optimizers(trained, learned, folds, tables)
                    descend(unit, rules, learned, aims, self.step.steps, before, self.context)
            after = block_error(unit, targets, learned, affines, self.schemes)
        entry = {"error_before": before, "error": min(before, after)}
        self.context.report.setdefault("blocks", {})[unit.block.name] = entry
        if after < before:
            self.inputs.settle(tables)
            return learned
        for fold, affine in folds:
            affine.load_state_dict(start[fold.consumers[0]].state_dict())
        return first

    def stages(self, names: Sequence[str]) -> list[list[str]]:
        """The sites that are trained at a time, stage by stage; a stage without any is left out."""
        if not self.step.stages:
            return [list(names)]
        roles = {name: self.inputs.sites[name].role.value for name in names}
        return in_stages(self.step.stages, roles)

    def optimizers(
        self,
        trained: Sequence[str],
        learned: Mapping[str, Learned],
        folds: Sequence[tuple[Fold, Affine]],
        tables: Tables,
    ) -> list[torch.optim.Optimizer]:
        """Adam for weights and bases; for tables one that leaves alone the entries not read."""
        weights = parameters_of(learned[name] for name in trained)
        bases = parameters_of(affine for _, affine in folds)
        entries = parameters_of(tables[name] for name in trained if name in tables)
        groups = [
            {"params": weights, "lr": self.step.learner.rate},
            {"params": bases, "lr": self.step.transform},
        ]
        adam = torch.optim.Adam([group for group in groups if group["params"]])
        return [adam, LazyAdam(entries, self.step.range_rate)] if entries else [adam]

    def seeds(self, unit: Unit, names: Sequence[str]) -> dict[str, Tensor]:
        """The codes that the learner wants to start from."""
        seed = self.step.learner.seed
        if seed is None:
            return {}
        kept = {name: hessian_of(self.network, name) for name in names}
        unit.observe(kept)
        return {
            name: seed(self._matrix(name), self.schemes[name], kept.pop(name).matrix()).codes
            for name in names
        }

    def rounded(self, name: str, found: Learned) -> Rounded:
        """The codes of one site."""
        return found.rounded(self._matrix(name))

    def set(self, name: str, rounded: Rounded) -> None:
        """Give the layer its codes and the report its entry."""
        layer = layer_of(self.network, name)
        set_codes(layer, matrix_of(layer), rounded, self.schemes[name], self.context)

    def finished(self, unit: Unit) -> tuple[dict[str, Rounded], dict[str, Basis]]:
        """What an earlier call kept of a block; nothing when there is nothing whole."""
        path = self._path(unit)
        if path is None or not path.is_file():
            return {}, {}
        self.inputs.restore(path.with_suffix(".ranges"))
        device = self.pipeline.device
        return read_finished(path, device), read_groups(path.with_suffix(".bases"), device)

    def keep(self, unit: Unit, done: Mapping[str, Rounded], bases: Mapping[str, Basis]) -> None:
        """Keep a finished block, its codes last: they say that all of it is there."""
        path = self._path(unit)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_groups(path.with_suffix(".bases"), bases)
        self.inputs.keep(path.with_suffix(".ranges"), list(done))
        write_finished(path, done)

    def _path(self, unit: Unit) -> Path | None:
        folder = self.context.workspace
        return None if folder is None else folder / "blocks" / f"{unit.block.name}.safetensors"

    def _matrix(self, name: str) -> Tensor:
        return matrix_of(layer_of(self.network, name))
