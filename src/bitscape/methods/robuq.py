"""RobuQ: ternary and 2-bit weights with 4- and 8-bit activations, behind a rotation at run time.

"RobuQ: Pushing DiTs to W1.58A2 via Robust Activation Quantization", arXiv:2509.23582.

    activations in a Hadamard basis, where each token
    is nearly normal (its RobustQuantizer)              passes.Rotate, nn.hadamard
    ternary weights, a scale for each output channel    formats.Ternary, quantizers.lsq_quantize
    training towards full precision                     passes.Distill

Deviations. The paper trains on ImageNet with the denoising loss for days and shares activation bits
unevenly among layers; here minutes on the model's own samples, towards the teacher's answers, at
uniform bits. Scales are learnt; theirs are the mean magnitude of a row. Weights start from GPTQ in
the rotated basis. The rotation is undone nowhere, because modulation stands before each layer: it
costs n log n additions before every linear layer but the projection of attention.

Cost. That of topkld, and a transform before each layer, in training and at run time.

Use. At 1.58 and 2 bits with 4 to 8 bits of activation, where nothing without training survives.
"""

from dataclasses import dataclass
from typing import ClassVar

from bitscape.methods.taught import Taught
from bitscape.passes import Pass


@dataclass(frozen=True)
class RobuQ(Taught):
    """A rotation, GPTQ behind it, then training; settings as in `Taught`."""

    summary: ClassVar[str] = (
        "Trains ternary and 2-bit weights behind a rotation: for the fewest bits of all."
    )
    schemes: ClassVar[tuple[str, ...]] = ("W1.58A8", "W1.58A4", "W2A8", "W2A4")

    steps: int = 800
    rate: float = 2e-3

    def passes(self) -> list[Pass]:
        """QuaRot's passes inside one of distillation."""
        return [self.distilled("quarot")]
