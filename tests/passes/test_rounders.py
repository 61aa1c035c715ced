"""Rounders: codes of the scheme, and what they refuse."""

import pytest
import torch

from bitscape.algorithms import FittedGroups, FixedGrids, relative_error
from bitscape.formats import parse_scheme
from bitscape.passes import Greedy, Nearest
from bitscape.quantizers import dequantize_weight


@pytest.mark.parametrize(
    "text", ["W4A16", "W3A16,asym", "W4A16@g16", "MXFP4A16", "NVFP4A16", "FP8"]
)
@pytest.mark.parametrize("static", [True, False], ids=["static groups", "fitted groups"])
def test_greedy_codes_lose_less_output_than_nearest(text: str, static: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    W, mix = torch.randn(48, 64, generator=generator), torch.randn(64, 64, generator=generator)
    X = torch.randn(300, 64, generator=generator) @ mix
    H = 2 * X.T @ X / 300
    scheme = parse_scheme(text).default.weight
    assert scheme is not None
    errors = []
    for rounder in (Greedy(act_order=static, static_groups=static), Nearest()):
        rounded = rounder(W, scheme, H)
        W_hat = dequantize_weight(rounded.codes, rounded.grid, scheme)
        errors.append(relative_error(W, W_hat, H))
        assert rounded.report.get("output_error", errors[-1]) == pytest.approx(errors[-1])
    assert errors[0] < 0.9 * errors[1]


def test_blocks_under_one_scale_are_always_fitted_together() -> None:
    W = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    rounder = Greedy(act_order=False, static_groups=False)
    kinds = {"NVFP4A16": FixedGrids, "MXFP4A16": FittedGroups, "W4A16@g16": FittedGroups}
    for text, kind in kinds.items():
        scheme = parse_scheme(text).default.weight
        assert scheme is not None
        assert isinstance(rounder.quantizer(W, scheme), kind)


def test_unknown_range_and_missing_hessian_are_errors() -> None:
    W, scheme = torch.ones(2, 2), parse_scheme("W4A16").default.weight
    assert scheme is not None
    with pytest.raises(ValueError, match="unknown range 'best': one of"):
        Nearest("best")(W, scheme)
    with pytest.raises(ValueError, match="calibration data"):
        Greedy()(W, scheme, None)
