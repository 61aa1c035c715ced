"""Amounts in units that make them short."""

from bitscape.laws.words import compute, gigabits, size


def test_bits_have_the_unit_that_makes_them_short() -> None:
    assert [gigabits(bits) for bits in (4.42, 0.1, 0.00153)] == [
        "4.42 Gbit",
        "0.1 Gbit",
        "1.53 Mbit",
    ]
    assert [compute(bits) for bits in (13.0, 0.0123)] == [
        "13e9 compute bits",
        "12.3e6 compute bits",
    ]


def test_bytes_round_up_into_the_next_unit() -> None:
    assert [size(count) for count in (850_000, 999_999, 1.2e9)] == ["850 kB", "1 MB", "1.2 GB"]
