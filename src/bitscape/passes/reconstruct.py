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
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bitscape.calibration import Extremes, Outputs, Unit, hessian_of, mixed, stream
from bitscape.formats import QuantScheme
from bitscape.nn import QuantConv2d, QuantLinear
from bitscape.passes.base import Context, Field
from bitscape.passes.block_inputs import BlockInputs, Tables, learning_ranges
from bitscape.passes.descent import block_error, descend, standing_in
from bitscape.passes.finished import read_finished, write_finished
from bitscape.passes.folding import apply_transform
from bitscape.passes.learned import (
    Affine,
    Learned,
    Learner,
    UpOrDown,
    starting_affine,
)
from bitscape.passes.quantize_activations import QuantizeActivations
from bitscape.passes.quantize_weights import (
    QuantizeWeights,
    check_weights,
    sites_inside,
    weight_sites,
)
from bitscape.passes.rounders import Greedy, Rounded
from bitscape.passes.transform import Transform
from bitscape.structure import Absorb, Call, Fold, Pipeline
from bitscape.training import LazyAdam

Tensors = tuple[Tensor, ...]
Basis = dict[str, Tensor]


@dataclass(frozen=True)
class Reconstruct:
    """Learn the rounding of each block's weights, block after block, from calibration calls.

    A block reads what the quantized blocks before it emit, and is compared with the float block on
    the float stream, with `both` also on its own input. Dynamic activation quantizers are in place
    meanwhile, and static ones where `ranges` says how theirs are found; their tables are learnt
    with the weights, at `range_rate`, each entry by the samples of its own steps. `mix` deals the
    samples of all calls out anew, so many to a batch of mixed steps. `transform` lets the folds
    inside a block whose inputs are rounded, and whose producer takes a scale, learn a change of
    basis at that rate (0 for none). Each of `steps` reads one call. Only one block's inputs and
    outputs are held. Sites outside of blocks are left to `rest`.
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
    rest: QuantizeWeights = QuantizeWeights(Greedy())

    def __post_init__(self) -> None:
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

    def block(self, unit: Unit, full: Tensors) -> Tensors:
        """Quantize one block and return what the float block made of the float stream."""
        targets = unit.run(full)
        own = unit.run() if self.step.both else None
        names = sites_inside(unit.block, self.schemes)
        inside = sites_inside(unit.block, self.inputs.schemes)
        self.inputs.quantize(unit, inside)
        done, bases = self.finished(unit)
        if done.keys() != set(names):
            folds = self.learn_bases(unit, names)
            learned = self.train(unit, names, folds, targets, own)
            bases = {fold.name: _basis(affine) for fold, affine in folds}
            self.change_bases(bases)
            done = {name: self.rounded(name, found) for name, found in learned.items()}
            self.keep(unit, done, bases)
        else:
            self.change_bases(bases)
        for name in names:
            self.set(name, done[name])
        return targets

    def layer(self, name: str) -> QuantLinear | QuantConv2d:
        """The layer of a site."""
        layer = self.network.get_submodule(name)
        assert isinstance(layer, QuantLinear | QuantConv2d)
        return layer

    def learn_bases(self, unit: Unit, names: Sequence[str]) -> list[tuple[Fold, Affine]]:
        """The folds whose basis is learnt, each with where it starts."""
        if not self.step.transform:
            return []
        folds = [f for f in self.pipeline.adapter.folds(self.network) if self._free(f, names)]
        if not folds:
            return []
        seen = {f.consumers[0]: Extremes(self._width(f)) for f in folds}
        unit.observe(seen)
        found = []
        for fold in folds:
            at = seen[fold.consumers[0]]
            weights = [self._matrix(name) for name in fold.consumers]
            shift = Absorb.SHIFT in fold.takes
            found.append((fold, starting_affine((at.low, at.high), weights, shift=shift)))
        return found

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
                rules = self.optimizers(learned, folds, tables)
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

    def optimizers(
        self, learned: Mapping[str, Learned], folds: Sequence[tuple[Fold, Affine]], tables: Tables
    ) -> list[torch.optim.Optimizer]:
        """Adam for weights and bases; for tables one that leaves alone the entries not read."""
        modules = [found for found in learned.values() if isinstance(found, nn.Module)]
        groups = [
            {"params": [p for m in modules for p in m.parameters()], "lr": self.step.learner.rate},
            {"params": [p for _, a in folds for p in a.parameters()], "lr": self.step.transform},
        ]
        entries = [p for table in tables.values() for p in table.parameters()]
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

    def change_bases(self, bases: Mapping[str, Basis]) -> None:
        """Make learnt changes of basis, exactly, in the consumers and their producers."""
        for fold in self.pipeline.adapter.folds(self.network):
            if fold.name not in bases:
                continue
            scale = bases[fold.name]["scale"]
            apply_transform(
                self.network, fold, Transform("learnt", scale, bases[fold.name].get("shift"))
            )
            entry = {
                "choice": "learnt",
                "least": float(scale.min()),
                "greatest": float(scale.max()),
            }
            for name in fold.consumers:
                self.context.site_report(name)["transform"] = entry

    def rounded(self, name: str, found: Learned) -> Rounded:
        """The codes of one site."""
        return found.rounded(self._matrix(name))

    def set(self, name: str, rounded: Rounded) -> None:
        """Give the layer its codes and the report its entry."""
        W, layer = self._matrix(name), self.layer(name)
        self.context.keep(name, W)
        layer.set_codes(rounded.codes, rounded.grid, self.schemes[name])
        W_hat = layer.effective_weight().flatten(1)
        error = float((W - W_hat).square().sum() / W.square().sum().clamp(min=1e-38))
        entry = {"scheme": str(self.schemes[name]), "weight_error": error, **rounded.report}
        self.context.site_report(name).update(entry)

    def finished(self, unit: Unit) -> tuple[dict[str, Rounded], dict[str, Basis]]:
        """What an earlier call kept of a block; nothing when there is nothing whole."""
        path = self._path(unit)
        if path is None or not path.is_file():
            return {}, {}
        bases: dict[str, Basis] = {}
        for key, tensor in load_file(path.with_suffix(".bases")).items():
            fold, kind = key.rsplit("/", 1)
            bases.setdefault(fold, {})[kind] = tensor
        self.inputs.restore(path.with_suffix(".ranges"))
        return read_finished(path), bases

    def keep(self, unit: Unit, done: Mapping[str, Rounded], bases: Mapping[str, Basis]) -> None:
        """Keep a finished block, its codes last: they say that all of it is there."""
        path = self._path(unit)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {f"{fold}/{kind}": t for fold, b in bases.items() for kind, t in b.items()}
        save_file(tensors, path.with_suffix(".bases"))
        self.inputs.keep(path.with_suffix(".ranges"), list(done))
        write_finished(path, done)

    def _path(self, unit: Unit) -> Path | None:
        folder = self.context.workspace
        return None if folder is None else folder / "blocks" / f"{unit.block.name}.safetensors"

    def _matrix(self, name: str) -> Tensor:
        weight = self.layer(name).weight
        assert weight is not None
        return weight.detach().flatten(1).float()

    def _width(self, fold: Fold) -> int:
        return self._matrix(fold.consumers[0]).shape[1]

    def _free(self, fold: Fold, names: Sequence[str]) -> bool:
        """Whether its consumers are all rounded here, in the basis that they came in."""
        if Absorb.SCALE not in fold.takes or not set(fold.consumers) <= set(names):
            return False
        layers = [self.layer(name) for name in fold.consumers]
        plain = all(
            isinstance(layer, QuantLinear)
            and layer.scale is None
            and layer.shift is None
            and not layer.rotation
            and layer.lowrank_down is None
            for layer in layers
        )
        read = [self.inputs.schemes[name] for name in fold.consumers]
        return plain and any(scheme is not None and scheme.dynamic for scheme in read)


def _basis(affine: Affine) -> Basis:
    basis = {"scale": affine.scale.detach()}
    return basis if affine.shift is None else {**basis, "shift": affine.shift.detach()}
