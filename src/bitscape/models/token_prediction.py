"""What the adapters of models that predict codes have in common."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from bitscape.models.labels import drop_labels
from bitscape.structure import Style


class TokenPrediction:
    """The part of an adapter whose network gives logits over a codebook at each position."""

    style: Style = "autoregressive"
    loss_name = "nll"
    discrete = True
    config: Any

    def without_labels(self, labels: Tensor, drawn: Tensor) -> Tensor:
        """`labels`, "no class" in place of those whose `drawn` is below the share of training."""
        return drop_labels(labels, drawn, self.config)

    def loss(
        self, output: Float[Tensor, "batch token code"], target: Int[Tensor, "batch token"]
    ) -> Float[Tensor, " batch"]:
        """Negative log-likelihood, nats a token, mean over the tokens of each sample."""
        # Flattened, because the code axis must be the last one for the softmax to be fast.
        rows = output.float().flatten(0, 1)
        losses = functional.cross_entropy(rows, target.flatten(), reduction="none")
        return losses.view(target.shape).mean(dim=1)
