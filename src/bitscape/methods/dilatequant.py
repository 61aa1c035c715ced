"""DilateQuant: dilated weights, a range for every step, and blocks distilled one after another.

Liu et al., "DilateQuant: Accurate and Efficient Diffusion Quantization via Weight Dilation",
arXiv:2409.14307.

    s_k, the most a column can grow (eq. 10 to 12)       algorithms.dilation_scale, passes.Dilate
    X / s, s W, folded or in the prologue (sec. 4.1)     passes.TransformInputs, Fold.push
    a scale and zero point a step (TPQ, eq. 13, 14)      passes.learned_table, QuantizeActivations
    entries moved by their own samples (sec. 4.2)        training.LazyAdam
    |B(x) - B_q(x_q)|^2, block by block (BKD, eq. 15)    passes.Reconstruct, learned_steps.InSteps
    all blocks together behind it (ours)                 passes.Distill, Relations

`dilation` says where weights are dilated: "on" everywhere, "balanced" everywhere but only as far as
it lowers the sum of both rounding errors, "off", or "best", of these three and of SmoothQuant's
scales at four strengths the one with the least output error at each input. `temporal` False keeps
one range for all steps, `distill` False rounds by GPTQ without training: the paper's ablations.

Deviations. Eq. 11 divides by zero for every weight that is not negative; a weight is compared with
the end of its row on its own side, and where the grid is symmetric with the row's largest
magnitude, on which alone its step depends. The paper dilates everywhere, which raises the output
error where the tensor's range does not shrink, and by the weights alone, which cannot see the
channel that makes the range wide: SmoothQuant's scales, which do, stand for choice beside it. It
has all scales absorbed beforehand; no producer can absorb through a SiLU or GELU, and those scales
stay in the prologue, one multiplication in the step that rounds the inputs: the report says
`folded` or not for each site. Weights are learnt in units of their step (the paper's rate of 0.01
would ruin weights of that size) from GPTQ's codes, scales as logarithms, zero points of tables in
shares of the range. Moments of Adam are kept for each entry of a table, where the nearest public
code of the authors throws them away after each step. 5,000 steps a block become a few hundred. A
block that ends worse than it began keeps its start. Attention products stay in 16 bits. The paper
ends with the last block; here all blocks are then tuned together for `finetune` steps, norms and
biases with them, by the error of the network's prediction as the sampler weighs it, plus
`relations` times that of how positions relate inside the last block (MPQ-DM's distillation, which
leaves the loss and is for the pictures): blocks trained one after another leave an error that only
the whole network can take back.

`dilatequant-faithful` is the paper's recipe at the same budget: dilation everywhere by the
published formula, weights from round to nearest, ranges of least error to the power 2.4.

Cost. `steps` forward and backward passes of each block, with the memory of one block and one batch:
what goes into and comes out of blocks, for the first `start_samples` trajectories, lies on disk.
Then `finetune` of the whole network, its blocks computed twice, and as many forward passes of full
precision, with the moments of all weights and what enters each block for `batch` images;
`finetune=0`, as the recipes of released models have it, keeps to the memory of a block. At run time
the step's row of each table is looked up, and a multiplication fused in the rounding where a scale
could not be folded.

Use. For static ranges at four bits, where training does nearly all: on the small DiT of the zoo at
W4A4,static the denoising loss above full precision falls from 360 % (RTN) and 126 % (untrained, by
GPTQ) to 74 % (blocks) and 47 % (tuned together), in 75 seconds of one core. Behind training neither
dilation alone nor a range for each step is seen, and full dilation is worse than none; the distance
of pictures falls less than the loss. docs/diffusion.md has the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from bitscape.methods.base import Method
from bitscape.methods.calibrations import MORE_IMAGES
from bitscape.methods.schemes import TABLES
from bitscape.passes import (
    Dilate,
    Distill,
    Greedy,
    Index,
    InSteps,
    Pass,
    QuantizeActivations,
    QuantizeWeights,
    Reconstruct,
    Relations,
    Rule,
    Smooth,
    Training,
    TransformInputs,
)

RULES: dict[str, tuple[Rule, ...]] = {
    "off": (),
    "on": (Dilate(balanced=False),),
    "balanced": (Dilate(),),
    "best": (Dilate(), Dilate(balanced=False), Smooth((0.3, 0.5, 0.7, 0.85))),
}


@dataclass(frozen=True)
class DilateQuant(Method):
    """Dilation chosen for each input, step tables, and blocks distilled with them."""

    summary: ClassVar[str] = (
        "Dilates weights where it helps, learns blocks with a range for each step: diffusion."
    )
    # The paper's, and one with a range for each token in place of tables.
    schemes: ClassVar[tuple[str, ...]] = (*TABLES, "W4A4")
    calibration: ClassVar[Mapping[str, int]] = MORE_IMAGES

    dilation: str = "best"
    temporal: bool = True
    distill: bool = True
    rows: int | None = None
    steps: int = 400
    batch: int = 16
    rate: float = 0.02
    scale_rate: float = 0.002
    range_rate: float = 0.002
    finetune: int = 400
    finetune_rate: float = 3e-4
    relations: float = 4.0
    start_samples: int | None = 64
    greedy: bool = True
    range: str = "mse"
    activation_range: str = "mse"

    def __post_init__(self) -> None:
        if self.dilation not in RULES:
            raise ValueError(f"unknown dilation {self.dilation!r}: one of {', '.join(RULES)}")
        if self.finetune < 0:
            raise ValueError(f"fine-tuning takes 0 steps (none) or more, got {self.finetune}")

    def passes(self) -> list[Pass]:
        """Dilation, weights with their ranges, the inputs that are left; then fine-tuning."""
        index: Index = "step" if self.temporal else "none"
        ranges = QuantizeActivations(self.activation_range, index, rows=self.rows)
        weights = blocks(self, ranges) if self.distill else QuantizeWeights(Greedy(self.range))
        found = [*dilated(self.dilation, RULES[self.dilation], ranges), weights, ranges]
        return [finetuned(tuple(found), self)] if self.distill and self.finetune else found


@dataclass(frozen=True)
class FaithfulDilateQuant(Method):
    """DilateQuant as the paper has it, less its division by zero."""

    summary: ClassVar[str] = (
        "DilateQuant as published, to compare with the paper: dilatequant is better."
    )
    schemes: ClassVar[tuple[str, ...]] = TABLES

    rows: int | None = None
    steps: int = 400
    batch: int = 32
    rate: float = 0.01
    scale_rate: float = 1e-4
    range_rate: float = 1e-4

    def passes(self) -> list[Pass]:
        """Dilation everywhere, blocks with their tables, then the inputs that are left."""
        ranges = QuantizeActivations("mse2.4", "step", rows=self.rows)
        weights = Reconstruct(
            InSteps("minmax", self.rate, self.scale_rate),
            steps=self.steps,
            ranges=ranges,
            range_rate=self.range_rate,
            mix=self.batch,
        )
        return [*dilated("on", (Dilate(balanced=False, published=True),), ranges), weights, ranges]


def dilated(name: str, rules: tuple[Rule, ...], ranges: QuantizeActivations) -> list[Pass]:
    """The pass that dilates by `rules`, the first as it comes unless `name` is "best"."""
    if not rules:
        return []
    accept: Literal["first", "best"] = "best" if name == "best" else "first"
    return [TransformInputs(rules, ranges, accept, online=True, sequential=accept == "best")]


def blocks(method: DilateQuant, ranges: QuantizeActivations) -> Reconstruct:
    """Weights, their scales and the tables of each block, learnt together."""
    return Reconstruct(
        InSteps(method.range, method.rate, method.scale_rate, greedy=method.greedy),
        steps=method.steps,
        ranges=ranges,
        range_rate=method.range_rate,
        mix=method.batch,
    )


def finetuned(start: tuple[Pass, ...], method: DilateQuant) -> Distill:
    """All blocks together behind `start`, by weighed predictions and relations of positions.

    Recomputed, because all else keeps to the memory of a block.
    """
    training = Training(method.finetune, method.batch, method.finetune_rate, recompute=True)
    objective = Relations(method.relations, weigh=True, smooth=False)
    return Distill(start, objective, training, start_samples=method.start_samples)
