"""Class labels in training: how some of them are dropped, so that guidance has "no class" too."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

Labels = Int[Tensor, " image"]


def drop_labels(labels: Labels, drawn: Float[Tensor, " image"], config: Any) -> Labels:
    """`labels`, with the class `num_classes` of `config` where `drawn` is below `label_dropout`.

    `drawn` is uniform in [0, 1). A model of one class has nothing to be guided by and keeps it.
    """
    if config.num_classes < 2:
        return labels
    return torch.where(drawn < config.label_dropout, config.num_classes, labels)
