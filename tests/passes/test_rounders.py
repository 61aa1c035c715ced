"""Rounders: codes of the scheme, and what they refuse."""

import pytest
import torch

from bitscape.algorithms import FittedGroups, FixedGrids, gptq, gptvq, relative_error
from bitscape.formats import TensorScheme, parse_scheme
from bitscape.passes import Greedy, Nearest, Vectors, rounders
from bitscape.quantizers import dequantize_weight, look_up_weight, minmax


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


def correlated(text: str) -> tuple[torch.Tensor, torch.Tensor, TensorScheme]:
    """A weight, the Hessian of correlated inputs, and the scheme of the weight."""
    drawn = torch.Generator().manual_seed(0)
    W, mix = torch.randn(16, 32, generator=drawn), torch.randn(32, 32, generator=drawn)
    X = torch.randn(100, 32, generator=drawn) @ mix
    scheme = parse_scheme(text).default.weight
    assert scheme is not None
    return W, X.T @ X / 50, scheme


@pytest.mark.parametrize("act_order", [False, True], ids=["in order", "act-order"])
def test_greedy_is_gptq_of_its_settings(act_order: bool) -> None:
    W, H, scheme = correlated("W3A16")
    rounded = Greedy("minmax", damping=0.5, act_order=act_order)(W, scheme, H)
    grids = FixedGrids.of(W, scheme, minmax)
    expected, report = gptq(W, H, quantizer=grids, damping=0.5, act_order=act_order)
    W_hat = dequantize_weight(rounded.codes, rounded.grid, scheme)
    torch.testing.assert_close(W_hat, expected)
    assert rounded.report["damping"] == report.damping == 0.5
    other = Greedy("minmax", act_order=act_order)(W, scheme, H)
    assert not torch.equal(other.codes, rounded.codes)


@pytest.mark.parametrize(
    "changed", [{"iterations": 1}, {"updates": 1}, {"sweeps": 1}, {"damping": 0.5}], ids=str
)
def test_vectors_are_gptvq_of_their_settings(changed: dict[str, float]) -> None:
    W, H, scheme = correlated("W2A16,vq2d")
    rounded, usual = Vectors(**changed)(W, scheme, H), Vectors()(W, scheme, H)
    codes, centroids, report = gptvq(W, H, scheme, **changed)
    assert torch.equal(rounded.codes, codes)
    W_hat = look_up_weight(rounded.codes, rounded.grid, scheme)
    torch.testing.assert_close(W_hat, look_up_weight(codes, centroids, scheme), rtol=0, atol=0)
    assert rounded.report["damping"] == report.damping
    assert not torch.equal(look_up_weight(usual.codes, usual.grid, scheme), W_hat)


@pytest.mark.parametrize(
    ("name", "rounder", "text"),
    [("gptq", Greedy(block=8), "W3A16"), ("gptvq", Vectors(block=8), "W2A16,vq2d")],
)
def test_columns_go_in_blocks_of_the_size_asked_for(
    name: str, rounder: Greedy | Vectors, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Results do not depend on it, only memory and time do.
    asked = []
    rule = {"gptq": gptq, "gptvq": gptvq}[name]
    monkeypatch.setattr(
        rounders, name, lambda *words, **options: asked.append(options) or rule(*words, **options)
    )
    W, H, scheme = correlated(text)
    rounder(W, scheme, H)
    assert [options["block"] for options in asked] == [8]
