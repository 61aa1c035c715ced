"""Styles compared in units of their own full precision."""

import pytest

from bitscape.laws import study

ALPHA = 0.3


def test_ratio_is_that_of_bits_at_equal_quality_whatever_the_raw_quality(table) -> None:
    ratios = {"var": 0.5, "dit": 0.8}
    rows = []
    for series, raw in (("var", 4.0), ("dit", 90.0)):
        rows += table(a=raw, alpha=ALPHA, series=series, method="fp16", w_bits=16, a_bits=16)
        a = raw * ratios[series] ** ALPHA
        rows += table(a=a, alpha=ALPHA, series=series, w_bits=4, a_bits=16)
    found = study(rows)
    assert {one.series: one.ratio for one in found.relative} == pytest.approx(ratios)
    assert all((one.sizes, one.lost) == (4, 0) for one in found.relative)
    [said] = [text for text in found.findings if "its own full precision" in text]
    assert "0.50 (0.50 to 0.50, extrapolated 2 times) in var" in said
    assert "0.80 (0.80 to 0.80, extrapolated 3.2 times) in dit" in said


def test_reading_the_law_of_full_precision_outside_its_sizes_is_marked(table) -> None:
    """Equal laws in bits: the least W4 model reads full precision at a quarter of its least."""
    full = table(method="fp16", w_bits=16, a_bits=16)
    [near] = study(full + table(sizes=(4e8, 1e9, 3e9), w_bits=4)).relative
    [far] = study(full + table(sizes=(1e8, 1e9, 3e9), w_bits=4)).relative
    assert (near.extrapolated, near.times_beyond) == (False, 1.0)
    assert far.extrapolated and far.times_beyond == pytest.approx(4)


def test_sizes_beyond_the_law_of_full_precision_are_lost(table) -> None:
    full = table(a=4.0, method="fp16", w_bits=16, a_bits=16)
    [one] = study(full + table(a=40.0, w_bits=4, a_bits=16)).relative
    assert (one.sizes, one.lost, one.ratio) == (0, 4, None)


def test_a_family_of_two_sizes_has_no_law_and_is_named(table) -> None:
    few = (1e8, 1e9)
    rows = table(series="var", method="fp16", w_bits=16, a_bits=16)
    rows += table(series="dit", method="fp16", w_bits=16, a_bits=16, sizes=few)
    rows += table(series="dit", w_bits=4, a_bits=16, sizes=few)
    found = study(rows)
    assert found.relative == ()
    assert any(
        text.startswith("dit: 2 settings have too few sizes for a law, at most 2")
        for text in found.caveats
    )
