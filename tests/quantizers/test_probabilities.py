"""Probabilities on their grids: ends are exact, codes are whole, and small ones survive in log2."""

from typing import get_args

import pytest
import torch

from bitscape.quantizers import Probabilities, round_probabilities

KINDS = get_args(Probabilities)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_ends_are_exact_and_rounding_again_changes_nothing(kind: Probabilities, bits: int) -> None:
    p = torch.rand(1000, generator=torch.Generator().manual_seed(0)).pow(3)
    ends = torch.tensor([0.0, 1.0])
    assert torch.equal(round_probabilities(ends, kind, bits), ends)
    once = round_probabilities(p, kind, bits)
    torch.testing.assert_close(round_probabilities(once, kind, bits), once)
    assert ((once >= 0) & (once <= 1)).all()
    assert len(once.unique()) <= 2**bits


def test_uniform_codes_are_integers() -> None:
    p = torch.rand(100, generator=torch.Generator().manual_seed(0))
    codes = round_probabilities(p, "uniform", 6) * 63
    torch.testing.assert_close(codes, codes.round())
    assert (round_probabilities(p, "uniform", 6) - p).abs().max() <= 0.5 / 63 + 1e-6


def test_logarithmic_grids_are_relatively_exact() -> None:
    p = torch.tensor([0.7, 0.1, 0.01, 0.001])
    for kind, worst in (("log2", 2**0.5), ("logsqrt2", 2**0.25)):
        ratio = round_probabilities(p, kind, 6) / p
        assert (ratio.log().abs() <= torch.tensor(worst).log() + 1e-5).all()
    assert round_probabilities(torch.tensor([2.0**-20]), "log2", 4) == 0
    assert round_probabilities(p, "uniform", 4)[2] == 0


def test_floats_of_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="8, 6 or 4 bits, got 5"):
        round_probabilities(torch.ones(1), "float", 5)
