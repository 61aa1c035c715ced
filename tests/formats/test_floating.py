import pytest
import torch

from bitscape.formats import E8M0, Float

ALL_CODES = torch.arange(256).to(torch.uint8)
OCP = {
    Float(2, 1): ("cast_to_fp4", "fp4_utils"),
    Float(2, 3): ("cast_to_fp6", "fp6_utils"),
}


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [
        (Float(4, 3), torch.float8_e4m3fn),
        (Float(5, 2), torch.float8_e5m2),
        (E8M0(), torch.float8_e8m0fnu),
    ],
    ids=str,
)
def test_codes_are_the_bit_patterns_of_torch(fmt: Float | E8M0, dtype: torch.dtype) -> None:
    theirs = ALL_CODES.view(dtype).float()
    theirs[theirs.isinf()] = torch.nan
    torch.testing.assert_close(fmt.decode(ALL_CODES), theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [(Float(4, 3), torch.float8_e4m3fn), (Float(5, 2), torch.float8_e5m2)],
    ids=str,
)
def test_rounding_is_that_of_torch(fmt: Float, dtype: torch.dtype) -> None:
    x = torch.randn(20000, generator=torch.Generator().manual_seed(0)).exp() - 1
    x = torch.cat([x, x * 2.0**-8, x * 2.0**-14])
    assert torch.equal(fmt.round(x), x.to(dtype).float())


@pytest.mark.parametrize("fmt", OCP, ids=str)
def test_rounding_is_that_of_compressed_tensors(fmt: Float) -> None:
    name, module = OCP[fmt]
    theirs = pytest.importorskip(f"compressed_tensors.quantization.utils.{module}")
    x = torch.linspace(-9, 9, 4001)
    expected = getattr(theirs, name)(x.clone().clamp(fmt.lowest, fmt.highest))
    assert torch.equal(fmt.round(x), expected)


@pytest.mark.parametrize(
    ("fmt", "positive"),
    [
        (Float(1, 1), [0, 1, 2, 3]),
        (Float(2, 0), [0, 1, 2, 4]),
        (Float(1, 2), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]),
        (Float(2, 1), [0, 0.5, 1, 1.5, 2, 3, 4, 6]),
        (Float(3, 0), [0, 0.25, 0.5, 1, 2, 4, 8, 16]),
    ],
    ids=str,
)
def test_small_formats_hold_the_published_values(fmt: Float, positive: list[float]) -> None:
    assert fmt.values()[len(positive) - 1 :].tolist() == positive


@pytest.mark.parametrize(
    ("fmt", "largest"),
    [(Float(4, 3), 448), (Float(5, 2), 57344), (Float(2, 3), 7.5), (Float(3, 2), 28)],
    ids=str,
)
def test_largest_values_are_those_of_the_specification(fmt: Float, largest: float) -> None:
    assert fmt.largest == largest


@pytest.mark.parametrize(("exp", "man"), [(0, 3), (4, 4), (8, 0), (2, -1)])
def test_other_splits_are_refused(exp: int, man: int) -> None:
    with pytest.raises(ValueError, match=f"got e{exp}m{man}"):
        Float(exp, man)
