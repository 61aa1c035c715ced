"""QuEST: only the layers that suffer most are trained, time embeddings first.

Wang et al., "QuEST: Low-bit Diffusion Model Quantization via Efficient Selective Finetuning",
arXiv:2402.03666.

    time-embedding layers, then attention and FF     passes.Reconstruct, stages
    a range for each step                            passes.QuantizeActivations
    weights start at a post-training rounding        passes.InSteps, from GPTQ's codes

The stages are roles of sites: "ada" (a U-Net's projections of the time embedding, the modulation of
a DiT), then "qkv", "proj", "fc1" and "fc2". Convolutions stay as they were rounded.

Deviations. The paper adds the errors of chosen layers' outputs to that of the network's; here the
error is that of each block's output, so that one block is in memory at a time. All weights of the
chosen layers are trained in units of their step, with their scales and tables; the paper keeps the
scales of weights, and its code the zero points. That code has an activation scale for each input
channel at 4 bits, which no integer product can use; here there is one a step. A block that ends
worse than it began keeps its start. `efficientdm` with `stages` has the error of the network alone.

Cost. `steps` forward and backward passes of each block and stage.

Use. Where training all of a U-Net costs too much; on transformers it leaves nothing out and is
DilateQuant without dilation, in two stages.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.base import Method
from bitscape.methods.schemes import TABLES
from bitscape.passes import InSteps, Pass, QuantizeActivations, Reconstruct

STAGES = (("ada",), ("qkv", "proj", "fc1", "fc2"))
"""Roles in the order in which they are trained."""


@dataclass(frozen=True)
class QuEST(Method):
    """Selective training of each block, stage by stage."""

    summary: ClassVar[str] = (
        "Trains time embeddings, then attention and feed-forward, block by block: U-Nets."
    )
    schemes: ClassVar[tuple[str, ...]] = TABLES

    steps: int = 200
    batch: int = 16
    rate: float = 0.02
    scale_rate: float = 0.002
    range_rate: float = 0.002
    rows: int | None = None

    def passes(self) -> list[Pass]:
        """Weights with their ranges, then the inputs that are left."""
        ranges = QuantizeActivations("mse", "step", rows=self.rows)
        weights = Reconstruct(
            InSteps("mse", self.rate, self.scale_rate, greedy=True),
            steps=self.steps,
            ranges=ranges,
            range_rate=self.range_rate,
            mix=self.batch,
            stages=STAGES,
        )
        return [weights, ranges]
