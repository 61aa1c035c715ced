"""Labels that training drops: as many as the family drops, and never the only class."""

from dataclasses import replace

import pytest
import torch

from bitscape.models import FAMILIES
from bitscape.models.labels import drop_labels
from bitscape.models.var_network import VARConfig


@pytest.mark.parametrize("family", list(FAMILIES))
def test_draws_below_the_share_of_training_lose_their_class(family: str) -> None:
    adapter = FAMILIES[family].tiny().adapter
    classes, share = adapter.num_classes, adapter.config.label_dropout
    labels, drawn = torch.arange(4) % classes, torch.tensor([0.0, 0.99 * share, share, 0.99])
    found = adapter.without_labels(labels, drawn)
    dropped = [classes, classes] if classes > 1 else labels[:2].tolist()
    assert found.tolist() == [*dropped, *labels[2:].tolist()]


def test_the_only_class_is_kept() -> None:
    config: VARConfig = replace(FAMILIES["var"].tiny_config, num_classes=1)
    labels = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(drop_labels(labels, torch.zeros(3), config), labels)
