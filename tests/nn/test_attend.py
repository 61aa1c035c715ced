import pytest
import torch

from bitscape.formats import Granularity, Int, TensorScheme, parse_scheme
from bitscape.nn import QuantAttend
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
