import pytest

from bitscape.formats import E8M0, Granularity, Int, TensorScheme, parse_scheme, parse_tensor_scheme


def test_only_unsigned_integers_are_asymmetric() -> None:
    with pytest.raises(ValueError, match="uint4 cannot be symmetric"):
        TensorScheme(Int(4, signed=False), Granularity("channel"))
    with pytest.raises(ValueError, match="int4 cannot be asymmetric"):
        TensorScheme(Int(4), Granularity("channel"), symmetric=False)


def test_integers_hold_no_scales() -> None:
    with pytest.raises(ValueError, match="int8 cannot hold scales"):
        TensorScheme(Int(4), Granularity("group", 32), scale_format=Int(8))


def test_sizes_belong_to_groups() -> None:
    with pytest.raises(ValueError, match="groups and tiles only, got 'channel' with 4"):
        Granularity("channel", 4)
    for size in (None, 0):
        with pytest.raises(ValueError, match="group"):
            Granularity("group", size)


def test_widths_belong_to_splits() -> None:
    for wrong in ({"kind": "group", "size": 4}, {"kind": "channel"}):
        with pytest.raises(ValueError, match="widths belong to splits"):
            Granularity(**wrong, widths=(4, 8))
    with pytest.raises(ValueError, match="widths belong to splits"):
        Granularity("split")
    with pytest.raises(ValueError, match=r"at least 1 element, got \(4, 0\)"):
        Granularity("split", widths=(4, 0))


def test_runs_make_up_a_row() -> None:
    assert Granularity("channel").runs(12) == (12,)
    assert Granularity("group", 4).runs(12) == (4, 4, 4)
    assert Granularity("split", widths=(8, 4)).runs(12) == (8, 4)


def test_groups_that_do_not_divide_name_the_nearest_sizes() -> None:
    with pytest.raises(ValueError, match="groups of 64 do not divide a width of 96: .*48, 96"):
        Granularity("group", 64).runs(96)


def test_scales_of_groups_are_half_as_wide() -> None:
    def weight(text: str) -> TensorScheme:
        scheme = parse_scheme(text).default.weight
        assert scheme is not None
        return scheme

    assert weight("W4A16").scale_bits == 32
    assert weight("W4A16@g64").scale_bits == 16
    assert parse_tensor_scheme("int4@s36+28").scale_bits == 16
    assert weight("MXFP4").scale_bits == E8M0().bits


def test_absent_schemes_cost_sixteen_bits() -> None:
    site = parse_scheme("W16A16").default
    assert (site.weight_bits, site.activation_bits) == (16, 16)
    assert parse_scheme("WternaryA8").default.weight_bits == 1.6
