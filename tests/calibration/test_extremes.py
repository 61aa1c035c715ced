"""The extremes of channels: of all that was seen, where it was seen."""

import torch

from bitscape.calibration import Extremes
from bitscape.structure import constant_step


def test_pieces_have_the_extremes_of_the_whole() -> None:
    X = torch.randn(4, 10, 6, generator=torch.Generator().manual_seed(0))
    found = Extremes(6, X.device)
    for part in X.split([1, 3]):
        found.update(part, constant_step(0))
    assert torch.equal(found.low, X.flatten(0, 1).amin(dim=0))
    assert torch.equal(found.high, X.flatten(0, 1).amax(dim=0))


def test_they_are_kept_on_the_device_of_the_inputs() -> None:
    found = Extremes(6, "meta")
    found.update(torch.zeros(2, 3, 6, device="meta"), constant_step(0))
    assert found.low.is_meta
    assert found.high.is_meta
