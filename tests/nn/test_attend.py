import pytest
import torch

from bitscape.formats import Granularity, Int, TensorScheme, parse_scheme
from bitscape.nn import QuantAttend
from bitscape.quantizers import Grid
from bitscape.structure import Attend, Cache, Kind, Role, Site, StepClock

SITE = Site("attend", Role.ATTEND, Kind.ATTEND)


def heads(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, 6, 8, generator=generator) for _ in range(3)]


def quantized(text: str) -> QuantAttend:
    attend = QuantAttend.of(Attend(), SITE, StepClock())
    scheme = parse_scheme(text).default.activation
    assert scheme is not None
    attend.quantize(scheme)
    return attend


def test_fresh_one_is_attention() -> None:
    q, k, v = heads(0)
    fresh = QuantAttend.of(Attend(), SITE, StepClock())
    assert torch.equal(fresh(q, k, v, scale=0.3), Attend()(q, k, v, scale=0.3))


def test_more_bits_are_nearer_to_attention() -> None:
    q, k, v = heads(0)
    exact = Attend()(q, k, v, scale=0.3)
    errors = [
        float((quantized(text)(q, k, v, scale=0.3) - exact).norm())
        for text in ("W8A4", "W8A6", "W8A8")
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 * float(exact.norm())


def test_cached_decoding_equals_masked_replay() -> None:
    q, k, v = heads(0)
    attend = quantized("W8A4")
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    replay = attend(q, k, v, scale=0.3, mask=mask)
    cache = Cache(6)
    steps = [
        attend(*(x[:, :, t : t + 1] for x in (q, k, v)), scale=0.3, cache=cache) for t in range(6)
    ]
    torch.testing.assert_close(torch.cat(steps, dim=2), replay)


def test_static_scheme_is_refused() -> None:
    scheme = TensorScheme(Int(8), Granularity("tensor"))
    with pytest.raises(ValueError, match="dynamic"):
        QuantAttend.of(Attend(), SITE, StepClock()).quantize(scheme)


def with_grids(bits: int, **options: object) -> QuantAttend:
    """Static grids for each of three heads, wide enough for standard normal numbers."""
    attend = QuantAttend.of(Attend(), SITE, StepClock())
    scheme = TensorScheme(Int(bits, signed=False), Granularity("tensor"), symmetric=False)
    scale = torch.tensor([7.0, 8.0, 9.0]) / (2**bits - 1)
    grid = Grid(scale, torch.full((3,), float(2 ** (bits - 1))))
    attend.quantize(scheme, grids=(grid, grid, grid), **options)
    return attend


def test_static_heads_have_grids_of_their_own() -> None:
    q, k, v = heads(0)
    attend = with_grids(4)
    assert attend.v is not None
    steps = torch.tensor([7.0, 8.0, 9.0]).view(3, 1, 1) / 15
    codes = attend.v(v) / steps
    torch.testing.assert_close(codes, codes.round(), atol=1e-4, rtol=0)
    exact = Attend()(q, k, v, scale=0.3)
    errors = [float((with_grids(b)(q, k, v, scale=0.3) - exact).norm()) for b in (4, 6, 8)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("kind", ["uniform", "log2", "logsqrt2", "float"])
def test_rounded_probabilities_keep_the_mask_and_the_cache(kind: str) -> None:
    q, k, v = heads(0)
    attend = with_grids(8, probabilities=kind)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    hidden = torch.zeros(6, 6).masked_fill(~mask, -torch.inf)
    replay = attend(q, k, v, scale=0.3, mask=mask)
    torch.testing.assert_close(attend(q, k, v, scale=0.3, mask=hidden), replay)
    assert float((replay - Attend()(q, k, v, scale=0.3, mask=mask)).norm()) < 0.5 * float(v.norm())
    cache = Cache(6)
    steps = [
        attend(*(x[:, :, t : t + 1] for x in (q, k, v)), scale=0.3, cache=cache) for t in range(6)
    ]
    torch.testing.assert_close(torch.cat(steps, dim=2), replay)


@pytest.mark.parametrize("static", [True, False])
def test_shift_and_sum_halves_the_rounding_of_values(static: bool) -> None:
    _, _, v = heads(0)
    plain, shifted = (
        with_grids(4, shift_and_sum=s) if static else quantized("W8A4") for s in (False, True)
    )
    shifted.shift_and_sum = True
    assert plain.v is not None
    errors = [(a._values(v, a.v) - v).square().mean() for a in (plain, shifted)]
    assert 0.2 < float(errors[1] / errors[0]) < 0.35
